// Plays video providers that take a few polls; prints its URL, and ends with its standard input.
import { LLMock } from "@copilotkit/aimock";

const slowly = { pollsBeforeInProgress: 1, pollsBeforeCompleted: 4 };
const mock = new LLMock({ port: 0, grokVideo: slowly, bytePlusVideo: slowly, falQueue: slowly });
const url = "https://example.com/video.mp4";
const task = (fields) => ({ json: { model: "seedance", created_at: 1800000000, ...fields } });
const ark = (userMessage, response) =>
  mock.addFixture({ match: { userMessage, model: /seedance/, endpoint: "video" }, response });

ark(/fox/, task({ status: "succeeded", content: { video_url: url } }));
ark(/broken/, task({ status: "failed", error: { code: "InternalError", message: "It broke." } }));
mock.onFalVideo(/veo3/, { video: { id: "video", status: "completed", url } });
mock.onVideo(/fox/, { video: { id: "video", status: "completed", url } });
mock.onVideo(/broken/, { video: { id: "none", status: "failed", error: "It broke." } });
await mock.start();
console.log(JSON.stringify({ url: mock.url }));
process.stdin.resume();
process.stdin.on("end", () => mock.stop().then(() => process.exit(0)));
