// The `ai` package, unmodified, in front of a gateway: each call's result, as JSON.
import {
  createGateway,
  experimental_generateVideo as generateVideo,
  experimental_getVideoStatus as getVideoStatus,
  experimental_startVideo as startVideo,
} from "ai";

const [baseURL, apiKey, id] = process.argv.slice(2);
globalThis.AI_SDK_LOG_WARNINGS = false;
const gateway = createGateway({ baseURL, apiKey });
const model = gateway.video(id);
const wanted = { model, prompt: "A fox", duration: 4, resolution: "1280x720", maxRetries: 1 };
const beginning = ({ video }) => Buffer.from(video.uint8Array.slice(4, 8)).toString();
const failure = async (call) => {
  try {
    await call();
  } catch (error) {
    return [error.name, error.statusCode, error.message];
  }
};
const waited = await generateVideo(wanted);
const polled = await generateVideo({ ...wanted, poll: { intervalMs: 50 } });
const first = await startVideo(wanted);
let status = await getVideoStatus(model, first);
while (status.status === "pending") {
  await new Promise((resolve) => setTimeout(resolve, 50));
  status = await getVideoStatus(model, first);
}
const key = { headers: { "idempotency-key": "order-1" } };
const [one, other] = [await startVideo({ ...wanted, ...key }), await startVideo({ ...wanted, ...key })];
const { models } = await gateway.getAvailableModels();
console.log(
  JSON.stringify({
    files: [beginning(waited), beginning(polled)],
    jobs: [waited, polled].map((made) => made.providerMetadata.reelhook.jobId),
    started: [status.status, status.videos[0].type, status.videos[0].mediaType],
    replayed: one.operation.jobId === other.operation.jobId,
    models: models.map((listed) => listed.id),
    failures: {
      number: await failure(() => generateVideo({ ...wanted, n: 2 })),
      model: await failure(() => generateVideo({ ...wanted, model: gateway.video("runway/gen4") })),
      unknown: await failure(() => getVideoStatus(model, { operation: { jobId: "job_none" } })),
      stranger: await failure(() =>
        generateVideo({ ...wanted, model: createGateway({ baseURL, apiKey: "wrong" }).video(id) }),
      ),
    },
  }),
);
