#!/bin/sh
# Runs a verb of xraynet; anything that is no verb (a shell, say) runs as it is.
set -eu
case "${1:-}" in
  ingest|catalogue|train-lungs|train|calibrate|evaluate|card|predict|review|listen|import-backbone|simulate|phantoms|doctor|--help|"")
    exec xraynet "$@"
    ;;
  *)
    exec "$@"
    ;;
esac
