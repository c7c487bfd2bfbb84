"""Networks: pretrained backbones and encoders, heads, layer groups, what is frozen, and layers put around others."""
