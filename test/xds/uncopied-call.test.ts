// Responses that go to the HTTP/2 stream in their parts, through the real library.
import { Client, credentials, Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { Message } from "../../controlplane/xds/message.js";
import { uncopied } from "../../controlplane/xds/uncopied-call.js";

const PATH = "/test.Test/Talk";

/** A server that writes these to whoever calls, then ends the call; and what its serializer was given. */
async function serve(responses: readonly (Message | Buffer)[]) {
  const serialized: unknown[] = [];
  const asIs = (bytes: Buffer) => bytes;
  const talk = {
    path: PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: (response: Buffer) => {
      serialized.push(response);
      return response;
    },
    responseDeserialize: asIs,
  };
  const server = new Server({ interceptors: [uncopied] });
  server.addService(
    { talk },
    {
      talk(call: ServerDuplexStream<Buffer, unknown>) {
        for (const response of responses) call.write(response);
        call.end();
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, serialized };
}

/** All that the server says, and the status that it ends with. */
function listen(address: string): Promise<{ readonly received: readonly Buffer[]; readonly code: number }> {
  const client = new Client(address, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
  onTestFinished(() => client.close());
  const asIs = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(PATH, asIs, asIs);
  const received: Buffer[] = [];
  call.on("data", (bytes: Buffer) => received.push(bytes));
  call.on("error", () => {});
  return new Promise((resolve) => {
    call.on("status", ({ code }) => resolve({ received, code }));
  });
}

test("messages arrive whole and in order on every stream, and the library is given none of them to copy", async () => {
  const body = Buffer.alloc(3 * 1024 * 1024, "body");
  const messages = [
    new Message(Buffer.from("first"), body),
    new Message(Buffer.from("without a body")),
    new Message(Buffer.alloc(0), body.subarray(0, 70_000)),
    new Message(Buffer.alloc(0)),
    new Message(Buffer.from("last"), body),
  ];
  const { address, serialized } = await serve(messages);
  const expected = messages.map(({ head, body }) => Buffer.concat([head, body]));
  for (const { received, code } of await Promise.all([listen(address), listen(address)])) {
    expect(received.map((bytes, index) => bytes.equals(expected[index] as Buffer))).toEqual(messages.map(() => true));
    expect(code).toBe(0);
  }
  expect(serialized).toEqual([]);
});

test("what is no Message goes the library's way, between those that do not", async () => {
  const plain = Buffer.from("plain");
  const { address, serialized } = await serve([new Message(Buffer.from("a")), plain, new Message(Buffer.from("b"))]);
  const { received, code } = await listen(address);
  expect(received.map(String)).toEqual(["a", "plain", "b"]);
  expect(code).toBe(0);
  expect(serialized).toEqual([plain]);
});
