from vector_platform.indexes.contract import Scope as Scope
from vector_platform.notebook import Platform as Platform
from vector_platform.notebook import Searcher as Searcher

__version__: str
