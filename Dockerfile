# geo2map on a CPU: docs/container.md
FROM python:3.12-slim-bookworm

# rasterio's wheel bundles GDAL, but not expat, which slim images lack
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*

WORKDIR /geo2map
COPY constraints.txt ./
RUN pip install --no-cache-dir --no-deps -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu
COPY LICENSE README.md pyproject.toml ./
COPY geo2map geo2map
COPY cli cli
RUN pip install --no-cache-dir -c constraints.txt ".[cloud,dask,serve]" && useradd --uid 1000 --create-home map

USER 1000
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["geo2map"]
