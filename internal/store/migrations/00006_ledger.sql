-- +goose Up

-- How a row's hash is made. 2 hashes the content apart from the link, so that an extract can leave
-- content out and keep the chain.
alter table audit add column version integer not null default 1;

-- Where the ledger ends, so that a tail that is cut off is missed.
create table audit_head (
  one            integer primary key check (one = 1),
  seq            integer not null,
  hash           text not null,
  schema_version integer not null default 0, -- that the ledger last told of
  anchored       integer not null default 0  -- 1 once the end was also written down outside the database
);
insert into audit_head (one, seq, hash)
  select 1, coalesce(max(seq), 0), coalesce((select hash from audit order by seq desc limit 1), '') from audit;
-- +goose StatementBegin
create trigger audit_head_no_delete before delete on audit_head begin select raise(abort, 'the audit ledger is append-only'); end;
-- +goose StatementEnd

-- The newest row of the ledger about an execution, for its check on GitHub.
alter table executions add column ledger_seq integer not null default 0;
alter table executions add column ledger_hash text not null default '';

-- When a plan could first be seen, by GitHub's clock: approvals have GitHub's times. 0 in older rows.
alter table plans add column shown_at integer not null default 0;

-- +goose Down
alter table plans drop column shown_at;
alter table executions drop column ledger_hash;
alter table executions drop column ledger_seq;
drop table audit_head;
alter table audit drop column version;
