from vector_platform.notebook import Platform as Platform

__version__: str
