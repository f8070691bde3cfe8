"""Our own HTTP/1.1 client for model providers: small, pooled, streaming; entered by `client.UpstreamClient.send`."""
