"""Networks: a body that ends at the last feature map, and a head."""
