# A worker. Built in two stages, so that the image holds the application and its libraries, and no build tools.

FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/orderflow \
    && /opt/orderflow/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md ./
COPY app app
COPY agents agents
COPY models models
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/orderflow/bin/pip install --no-cache-dir --no-deps wheels/*.whl

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 orderflow
COPY --from=build /opt/orderflow /opt/orderflow
ENV PATH=/opt/orderflow/bin:$PATH PYTHONUNBUFFERED=1
USER orderflow
WORKDIR /home/orderflow
# Ctrl-C's signal: the worker commits what it has and leaves its group.
STOPSIGNAL SIGINT
EXPOSE 6066
CMD ["faust", "-A", "app", "worker", "-l", "info"]
