"""Stand-ins for LIBERO-plus's assets, which lie on the Hugging Face hub only: LIBERO's tiny kit, a box for each new
object, and LIBERO's scene with other colors for each new scene. What they are called is read from LIBERO-plus's source.

    python tests/libero_plus_kit.py SOURCE TINY FOLDER     for `groot-bench setup libero_plus --assets FOLDER`

Start states are those of the real objects, so boxes may fall where they stood. For tests, never for numbers.
"""

from __future__ import annotations

import colorsys
import re
import sys
import zlib
from pathlib import Path

from PIL import Image

from groot_bench.setup.unpack import bring

SCENES = {
    "libero_coffee_table_manipulation": "libero_coffee_table_base_style",
    "libero_floor_manipulation": "libero_floor_base_style",
    "libero_kitchen_tabletop_manipulation": "libero_kitchen_tabletop_base_style",
    "libero_living_room_tabletop_manipulation": "libero_living_room_tabletop_base_style",
    "libero_study_tabletop_manipulation": "libero_study_base_style",
    "libero_tabletop_manipulation": "libero_tabletop_base_style",
}
SHADES = 16

BOX = """<mujoco model="stand_in">
  <worldbody>
    <body>
      <body name="object">
        <geom type="box" size="0.02 0.02 0.03" density="100" friction="0.95 0.3 0.1" group="0" rgba="0.8 0.8 0.8 0.3"/>
        <geom type="box" size="0.02 0.02 0.03" contype="0" conaffinity="0" mass="0" group="1" rgba="{color} 1"/>
      </body>
      <site rgba="0 0 0 0" size="0.005" pos="0 0 -0.03" name="bottom_site"/>
      <site rgba="0 0 0 0" size="0.005" pos="0 0 0.03" name="top_site"/>
      <site rgba="0 0 0 0" size="0.005" pos="0.02 0.02 0" name="horizontal_radius_site"/>
    </body>
  </worldbody>
</mujoco>
"""


def make_kit(source: Path, tiny: Path, folder: Path) -> None:
    """Fills a new folder.

    Args:
        source: LIBERO-plus's repository, checked out. tiny: LIBERO's kit of assets, an archive or a folder.
    """
    bring(tiny, folder)
    envs = source / "libero/libero/envs"
    for shade in range(SHADES):
        color = colorsys.hsv_to_rgb(shade / SHADES, 0.6, 0.9)
        image = Image.new("RGB", (8, 8), tuple(int(255 * part) for part in color))
        image.save(folder / f"textures/stand_in_{shade}.png")
    for name in re.findall(r'": "([^"/]+\.png)"', (envs / "arenas/style.py").read_text()):
        place = folder / "textures" / name
        if not place.exists():
            place.write_bytes((folder / f"textures/stand_in_{_number(name)}.png").read_bytes())
    for name in re.findall(r"assets/(new_objects/[^\"]+\.xml)", (envs / "objects/custom_objects.py").read_text()):
        color = colorsys.hsv_to_rgb(_number(name) / SHADES, 0.8, 0.8)
        _write(folder / name, BOX.format(color=" ".join(f"{part:.3f}" for part in color)))
    for problem, scene in SCENES.items():
        base = (folder / f"scenes/{scene}.xml").read_text()
        for name in set(re.findall(r'"(scenes/[^"]+\.xml)"', (envs / f"problems/{problem}.py").read_text())):
            if not (folder / name).exists():
                _write(folder / name, _scene(base, name))


def _scene(base: str, name: str) -> str:
    """The base scene with other lights or other textures, as seen from that place in the folder of assets."""
    number = _number(name)
    if "light" in name:
        level = 0.1 + 0.9 * number / SHADES
        base = re.sub(r'diffuse="[^"]*"', f'diffuse="{level:.3f} {level:.3f} {1 - level:.3f}"', base)
    else:
        base = base.replace("../textures/martin_novak_wood_table.png", f"../textures/stand_in_{number}.png")
        if "_bg_" in name or "bg_" in Path(name).name:
            base = base.replace("../textures/smooth_light_gray_plaster.png", f"../textures/stand_in_{number - 1}.png")
    deeper = "../" * (name.count("/") - 1)
    return re.sub(r'file="(?=[^"])', f'file="{deeper}', base)


def _number(name: str) -> int:
    return 1 + zlib.crc32(name.encode()) % (SHADES - 1)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    make_kit(*map(Path, sys.argv[1:4]))
