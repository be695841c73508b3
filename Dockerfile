# The operator's image. The last stage holds what packaging/rootfs lays out and nothing else; e2e/images/operator makes the
# same image from a locally built binary, and packaging/test-image holds the two to the same content.

FROM rust:1.90-bookworm AS operator
WORKDIR /src
COPY . .
RUN packaging/build-release /flink-savepoint-operator

FROM maven:3.9-eclipse-temurin-17 AS helper
COPY preflight/ /preflight/
RUN /preflight/build /helper.jar

FROM operator AS rootfs
COPY --from=helper /helper.jar /helper.jar
RUN packaging/rootfs /flink-savepoint-operator /helper.jar /rootfs

FROM scratch
COPY --from=rootfs /rootfs/ /
# glibc's heap: one for all threads, which mostly wait, and what is free goes back at once. Halves the memory at rest.
ENV MALLOC_ARENA_MAX=1
ENV MALLOC_TRIM_THRESHOLD_=65536
ENV MALLOC_MMAP_THRESHOLD_=65536
USER 65532:65532
ENTRYPOINT ["/usr/bin/flink-savepoint-operator"]
