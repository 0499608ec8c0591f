// The official client for Node, unmodified, in front of a gateway: each call's result, as JSON.
import OpenAI, { toFile } from "openai";

const [baseURL, apiKey, model, image] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const failure = async (call) => {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status, error.code, error.param];
  }
};
const finished = async (id) => {
  for (;;) {
    const { data, response } = await client.videos.retrieve(id).withResponse();
    if (["completed", "failed"].includes(data.status)) return data;
    const wait = Number(response.headers.get("openai-poll-after-ms"));
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
};
const first = await client.videos.create({
  model,
  prompt: "A fox",
  seconds: "4",
  ...(image ? { input_reference: await toFile(Buffer.from(image, "base64"), "fox.png") } : {}),
  metadata: { order: "7" },
});
const video = await finished(first.id);
const file = await (await client.videos.downloadContent(video.id)).arrayBuffer();
let thumbnail;
while (!thumbnail) {
  try {
    thumbnail = await client.videos.downloadContent(video.id, { variant: "thumbnail" });
  } catch (error) {
    if (error.code !== "poster_not_ready") throw error;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const ids = [];
for await (const one of client.videos.list({ limit: 1, order: "asc" })) ids.push(one.id);
const models = [];
for await (const one of client.models.list()) models.push(one.id);
let remix;
const remixing = await failure(async () => {
  remix = await client.videos.remix(video.id, { prompt: "In the snow" });
});
const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
console.log(
  JSON.stringify({
    first,
    video,
    file: Buffer.from(file.slice(4, 8)).toString(),
    thumbnail: thumbnail.headers.get("content-type"),
    ids,
    models,
    remix,
    remixing,
    failures: {
      unknown: await failure(() => client.videos.retrieve("video_none")),
      wrong: await failure(() => client.videos.create({ prompt: "A fox", seconds: "long" })),
      variant: await failure(() => client.videos.downloadContent(video.id, { variant: "spritesheet" })),
      edit: await failure(() => client.videos.edit({ prompt: "A cat", video: { id: video.id } })),
      reference: await failure(() =>
        client.videos.create({ prompt: "A fox", input_reference: { file_id: "file_1" } }),
      ),
      stranger: await failure(() => stranger.videos.list()),
    },
  }),
);
