# Two images from one build:
#
#   docker build --target edge -t asgate .              the edge alone; mount a configuration at /etc/asgate/asgate.yaml
#   docker build --target app -t asgate-sample .        the edge, Python and the sample FastAPI application
#
# Both run as user 10001 and stop gracefully on SIGTERM. scripts/test-container builds and tries both.

ARG RUST_VERSION=1.95
ARG DEBIAN_RELEASE=bookworm

FROM docker.io/library/rust:${RUST_VERSION}-${DEBIAN_RELEASE} AS build
# cmake builds zlib-ng.
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin asgate --target-dir /build \
    && install -D -m 755 /build/release/asgate /out/asgate \
    && rm -rf /build


FROM docker.io/library/debian:${DEBIAN_RELEASE}-slim AS edge
RUN groupadd --gid 10001 asgate \
    && useradd --uid 10001 --gid asgate --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin asgate
COPY --from=build /out/asgate /usr/local/bin/asgate
# Where the health check looks for the admin API; a configuration says the same: admin: { address: "${ASGATE_ADMIN}" }
ENV ASGATE_ADMIN=127.0.0.1:9180
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# The image has no HTTP client; bash speaks enough of it. Healthy is: the admin API answers /health/live with 200.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/${ASGATE_ADMIN%:*}/${ASGATE_ADMIN##*:} && printf 'GET /health/live HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["/usr/local/bin/asgate"]
CMD ["run", "-c", "/etc/asgate/asgate.yaml"]


FROM edge AS app
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY examples/fastapi/requirements.txt .
# The virtual environment stands beside the application: asgate takes the .venv of an app's directory.
RUN python3 -m venv .venv && .venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY examples/fastapi/app.py examples/fastapi/asgate.yaml ./
ENV ASGATE_LISTEN=0.0.0.0:8080 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
CMD ["run", "-c", "/app/asgate.yaml"]


# What a build without --target makes: the edge.
FROM edge
