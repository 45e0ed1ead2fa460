#!/bin/sh
# Creates or updates the tables and then the application: ./deploy.sh STACK [NAME=VALUE…]
#
# Name every parameter each time. Another code or parameter publishes a version of each function.
set -eu
cd "$(dirname "$0")"
if [ $# -eq 0 ]; then
	sed -n 's/^# //p' "$0" >&2
	exit 2
fi
stack=$1
shift
# A prefix of the tables that is another one, after a restore.
tables=$stack
for parameter; do
	case $parameter in TablePrefix=*) tables=${parameter#TablePrefix=} ;; esac
done
hash() { if command -v sha256sum > /dev/null; then sha256sum; else shasum -a 256; fi | cut -c -16; }
release=$({ cat bootstrap.zip template.yaml; echo "$*"; } | hash)
sam deploy --config-env none --template data.yaml --stack-name "$tables-data" --resolve-s3 \
	--no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides "TablePrefix=$tables"
sam deploy --config-env none --stack-name "$stack" --resolve-s3 --capabilities CAPABILITY_IAM \
	--no-confirm-changeset --no-fail-on-empty-changeset --parameter-overrides "TablePrefix=$tables" "Release=$release" "$@"
