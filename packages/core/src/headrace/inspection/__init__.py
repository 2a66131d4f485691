"""Looking at files, machines and the installation without using a model."""
