#!/bin/bash
# The key of a database host needs no right to delete: with a bucket policy that gives reading, listing
# and writing only, everything but the clearing away works.
# shellcheck disable=SC2154
. "${0%/*}/../lib/pgbr.sh"
. "$lib/s3.sh"

s3_start
s3_user dbhost
cat >policy.json <<'END'
{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/dbhost"]},
   "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::pgbr/*"]},
  {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/dbhost"]},
   "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": ["arn:aws:s3:::pgbr"]}]}
END
s3_client policy pgbr policy.json
limited() {
    s3_client --key "$user_key" --secret "$user_secret" "$@"
}
echo x | limited put pgbr probe
is "$(limited get pgbr probe)" x 'the key may write and read'
fails 1 AccessDenied 'and may not delete' limited delete pgbr probe

cluster_init main 15 --wal-segsize=1
cluster_start main
s3_config --cipher secret main
ok 'somebody with all rights makes the repository' pgbr init main
ok 'with a second way in' pgbr key add main --generate "$work/spare.key"
rm -rf state
s3_config --cipher secret --s3 'pack_size: 1MB' --s3 'retention_full: 2' --s3 'expire_auto: n' \
    --s3 "s3_key: $user_key" --s3 "s3_key_secret: $user_secret" main
archive_on main
sql main "create table t as select n, repeat(md5(n::text), 8) as x from generate_series(1, 20000) n"
wait_archived main
pass 'the limited key archives'
ok 'it takes a backup' pgbr backup main
sql main "insert into t values (0, 'later')"
wait_archived main
ok 'and another one' pgbr backup main
ok 'check is content' pgbr check main
ok 'list' pgbr list main
ok 'verify' pgbr verify main --deep
ok 'it restores' pgbr restore main --data-dir "$work/copy"
restore_start copy
is "$(dump_sum copy)" "$(dump_sum main)" 'everything'
fails 1 AccessDenied 'and may not delete, still' limited delete pgbr probe
is "$(limited get pgbr probe)" x 'nothing is gone'
done_testing
