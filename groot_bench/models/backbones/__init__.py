"""Vision-language backbones, one file a family."""
