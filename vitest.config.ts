// How the tests run: real Envoys on few cores, so two files at a time, and limits that only a hanging test meets.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 20_000,
    expect: { poll: { timeout: 15_000 } },
    setupFiles: process.env.HEADGATE_STALLS ? ["test/harness/stalls.ts"] : [],
    restoreMocks: true,
    sequence: { hooks: "stack" },
  },
});
