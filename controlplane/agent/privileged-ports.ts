// Whether this process may bind ports below 1024: asked of the kernel, since capabilities and settings decide it.
import { createServer } from "node:net";

/** True when binding a low port is refused for want of privilege. */
export function needsPrivilege(): Promise<boolean> {
  return new Promise((resolve) => {
    // Port 1 is in nobody's use; were it taken, the kernel would still check the privilege first.
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "EACCES"));
    server.listen(1, "127.0.0.1", () => server.close(() => resolve(false)));
  });
}
