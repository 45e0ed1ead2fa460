# rollcall serve in a container: one static binary, no shell, no root. `make image` builds it; a release has it for both
# processors. The data is in the volume /data.
ARG BASE=gcr.io/distroless/static-debian12:nonroot
FROM ${BASE}
ARG TARGETARCH
COPY --chown=0:0 build/image/${TARGETARCH}/rollcall /usr/local/bin/rollcall
COPY --chown=65532:65532 build/image/data /data
USER 65532:65532
VOLUME /data
EXPOSE 3000
ENTRYPOINT ["/usr/local/bin/rollcall"]
# The port is the container's own; publish it on the loopback, or put a proxy with TLS before it.
CMD ["serve", "--listen", "0.0.0.0:3000", "--data", "/data/rollcall"]
