# The product's own images, out of a checkout: the demo shop, the load generator, and what acts on a node for faults of the network.
#   docker build --target shop --tag tidegauge.local/shop:0.1.0 .
#   docker build --target locust --tag tidegauge.local/locust:0.1.0 .
#   docker build --target fault --tag tidegauge.local/fault:0.1.0 .
# docs/how-to/load-images.md says how they come into a cluster. Packages are those of requirements.lock, by hash.
# Bytecode is made here, since nothing can be written where they run: else each start would compile again.
# The base can be named by digest: --build-arg BASE=python:3.11-slim@sha256:...
ARG BASE=python:3.11-slim

FROM ${BASE} AS shop-packages
COPY requirements.lock /tmp/
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --only-binary :all: \
    --target /app/site --constraint /tmp/requirements.lock starlette uvicorn prometheus-client jinja2

FROM ${BASE} AS locust-packages
COPY requirements.lock /tmp/
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --only-binary :all: \
    --target /app/site --constraint /tmp/requirements.lock locust

FROM ${BASE} AS shop
COPY --from=shop-packages /app/site /app/site
COPY tasks/__init__.py /app/tasks/
COPY tasks/base /app/tasks/base
COPY tasks/shop /app/tasks/shop
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app
ENV PYTHONPATH=/app:/app/site PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python3", "-m", "tasks.shop"]

FROM ${BASE} AS locust
COPY --from=locust-packages /app/site /app/site
COPY tasks/__init__.py /app/tasks/
COPY tasks/base /app/tasks/base
COPY tasks/load /app/tasks/load
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app
ENV PYTHONPATH=/app:/app/site PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python3", "-m", "locust"]

FROM ${BASE} AS fault
RUN apt-get update \
    && apt-get install --yes --no-install-recommends iptables \
    && rm -rf /var/lib/apt/lists/*
ENV PYTHONUNBUFFERED=1
CMD ["python3"]
