"""How texts become vectors: the path all take, and a file for each library that runs a model."""
