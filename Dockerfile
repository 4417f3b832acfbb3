# The demo: Headgate, bookinfo and its Envoys in one container, set up while the image is built.
FROM node:20.19-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /headgate
RUN chown node:node /headgate
USER node
COPY --chown=node:node . .
RUN npm run setup
CMD ["npm", "start"]
