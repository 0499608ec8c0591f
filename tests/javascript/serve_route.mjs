// Serves a Next.js route handler the way Next.js calls it: node serve_route.mjs path/to/route.js
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const { POST } = await import(pathToFileURL(process.argv[2]));

const server = createServer(async (incoming, outgoing) => {
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers,
    body: await buffer(incoming),
  });
  const response = await POST(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(await response.text());
});
server.listen(0, () => console.log(`port ${server.address().port}`));
