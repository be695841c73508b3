#!/bin/bash
# The words of the official Flink image; anything else is run as it is. /opt/flink/conf is mounted by whoever runs it.
case $1 in
  jobmanager) exec "$FLINK_HOME/bin/jobmanager.sh" start-foreground "${@:2}" ;;
  standalone-job) exec "$FLINK_HOME/bin/standalone-job.sh" start-foreground "${@:2}" ;;
  taskmanager) exec "$FLINK_HOME/bin/taskmanager.sh" start-foreground "${@:2}" ;;
  history-server) exec "$FLINK_HOME/bin/historyserver.sh" start-foreground "${@:2}" ;;
  *) exec "$@" ;;
esac
