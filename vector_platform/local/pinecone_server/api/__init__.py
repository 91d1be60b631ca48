"""The handlers of Pinecone's APIs: indexes, namespaces, documents, vectors, imports."""
