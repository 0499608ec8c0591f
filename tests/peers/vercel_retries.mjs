// Calls of the `ai` package, unmodified, a few at once: a line of JSON for each that has ended.
import { createGateway, experimental_generateVideo as generateVideo } from "ai";

const [baseURL, apiKey, calls, atOnce] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false;
// A tenth of the waits between retries, and between looks.
const { setTimeout } = globalThis;
globalThis.setTimeout = (callback, milliseconds, ...given) => setTimeout(callback, milliseconds / 10, ...given);
const model = createGateway({ baseURL, apiKey }).video("openai/sora-2");
const left = Array.from({ length: Number(calls) }, (_, number) => `ai ${number}`);
const call = async (prompt) => {
  try {
    const { providerMetadata } = await generateVideo({ model, prompt, duration: 4, maxRetries: 10, poll: {} });
    return { job: providerMetadata.reelhook.jobId };
  } catch (error) {
    return { error: `${prompt}: ${error}` };
  }
};
const worker = async () => {
  while (left.length) console.log(JSON.stringify(await call(left.pop())));
};
await Promise.all(Array.from({ length: Number(atOnce) }, worker));
