import assert from "node:assert/strict";
import test from "node:test";
import { EventParser, readEvents } from "./sse.ts";

const wire = ': keep-alive\r\n\r\nevent: delta\r\ndata: {"a":"é"}\r\n\r\ndata: one\ndata:two\n\nid: 7\ndata: [DONE]\r\r';
const expected = [
  { event: "delta", data: '{"a":"é"}', id: "" },
  { event: "message", data: "one\ntwo", id: "" },
  { event: "message", data: "[DONE]", id: "7" },
];

test("the same events come out for every way of cutting the text", () => {
  for (let size = 1; size <= wire.length; size++) {
    const parser = new EventParser();
    const got = [];
    for (let at = 0; at < wire.length; at += size) got.push(...parser.push(wire.slice(at, at + size)));
    got.push(...parser.push("\n"));
    assert.deepEqual(got, expected, `chunks of ${size}`);
  }
});

test("bytes cut inside a character are put together", async () => {
  const bytes = new TextEncoder().encode("data: naïve €\n\n");
  for (let cut = 1; cut < bytes.length; cut++) {
    const body = new ReadableStream<Uint8Array>({
      start(c) {
        c.enqueue(bytes.slice(0, cut));
        c.enqueue(bytes.slice(cut));
        c.close();
      },
    });
    const got = [];
    for await (const event of readEvents(body)) got.push(event.data);
    assert.deepEqual(got, ["naïve €"]);
  }
});
