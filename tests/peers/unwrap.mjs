// Reads one JSON {secret, headers, body} a line; prints what OpenAI's SDK makes of it, as JSON.
import { createInterface } from "node:readline";
import OpenAI from "openai";

const client = new OpenAI({ apiKey: "none" });
for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    const event = await client.webhooks.unwrap(body, headers, secret);
    console.log(JSON.stringify({ type: event.type, video: event.data.id }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.constructor.name }));
  }
}
