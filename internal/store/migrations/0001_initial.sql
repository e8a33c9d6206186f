-- +goose Up

-- One row per webhook that was accepted. meaning catches the same event under another delivery id.
create table deliveries (
  id          text primary key,
  meaning     text not null unique,
  event       text not null,
  received_at integer not null
);

-- What was last learnt of a pull request, and what Tollgate has written on it.
create table pulls (
  repo_id    integer not null,
  number     integer not null,
  facts      text not null,             -- change.Pull
  reviews    text not null default '[]',
  authors    text not null default '[]', -- of all commits
  pushed_at  integer not null default 0, -- when the newest head was first seen
  cancelled_at integer not null default 0,
  allowed    text not null default '',  -- head commit of a fork that a maintainer let be planned
  note       text not null default '',  -- fault.Error that concerns the pull request as a whole
  comment_id integer not null default 0,
  comment    text not null default '',  -- digest of the summary comment as last sent
  primary key (repo_id, number)
);

-- One attempt to plan one head commit.
create table runs (
  id            text primary key,
  seq           integer not null unique,
  repo_id       integer not null,
  number        integer not null,
  head_sha      text not null,
  base_ref      text not null,
  base_sha      text not null default '',
  tree          text not null default '',
  state         text not null,
  reason        text not null,
  fault         text not null default '',
  policy_digest text not null default '',
  config        text not null default '{}',
  owner         text not null default '', -- the server process that works on it
  presses       integer not null default 0, -- buttons that were refused
  created_at    integer not null,
  started_at    integer not null default 0,
  finished_at   integer not null default 0
);
create index runs_by_pull on runs (repo_id, number, seq);
create unique index runs_one_active on runs (repo_id, number) where state in ('queued', 'running');

-- The plan of one project in one run.
create table plans (
  id            text primary key,
  run_id        text not null references runs (id),
  name          text not null,
  project       text not null,            -- change.Project
  state         text not null,
  fault         text not null default '',
  excerpt       text not null default '', -- Terraform's own diagnostics
  text          text not null default '', -- Terraform's description of the plan
  summary       text not null default '{}',
  findings      text not null default '[]',
  policy_digest text not null default '',
  judged        integer not null default 0,
  artifacts     text not null default '{}',
  state_key     text not null default '', -- identity of the Terraform state: what an apply locks
  started_at    integer not null default 0,
  finished_at   integer not null default 0,
  unique (run_id, name)
);

-- One consumption of one plan: the row is committed before Terraform starts and never leaves.
create table executions (
  id          text primary key,
  plan_id     text not null unique references plans (id),
  repo_id     integer not null,
  number      integer not null,
  head_sha    text not null,
  commit_sha  text not null,
  project     text not null,
  state_key   text not null,
  state       text not null,
  trigger     text not null,
  actor       text not null,
  fault       text not null default '',
  cause       text not null default '',  -- why it failed, for programs: stale, locked or empty
  released_by text not null default '',  -- who unfroze the project after an unknown outcome
  deployment  integer not null default 0,
  deployment_state text not null default '',
  created_at  integer not null,
  finished_at integer not null default 0
);
create index executions_by_pull on executions (repo_id, number);
-- The lock on a Terraform state. An unknown outcome keeps it until a person releases it.
create unique index executions_lock on executions (state_key)
  where state in ('claimed', 'running') or (state = 'unknown' and released_by = '');

-- What GitHub was last told of each check.
create table checks (
  external_id text primary key,
  repo_id     integer not null,
  number      integer not null,
  head_sha    text not null,
  name        text not null,
  github_id   integer not null default 0,
  sent        text not null default ''   -- digest of the check as last sent
);
create index checks_by_pull on checks (repo_id, number);

-- The ledger: append-only, each row holds the hash of the one before.
create table audit (
  seq     integer primary key,
  at      text not null,
  actor   text not null,
  action  text not null,
  outcome text not null,
  origin  text not null,
  subject text not null,
  prev    text not null,
  hash    text not null
);
-- +goose StatementBegin
create trigger audit_no_update before update on audit begin select raise(abort, 'the audit ledger is append-only'); end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger audit_no_delete before delete on audit begin select raise(abort, 'the audit ledger is append-only'); end;
-- +goose StatementEnd
-- +goose StatementBegin
-- "insert or replace" fires no trigger of delete.
create trigger audit_no_replace before insert on audit when exists (select 1 from audit where seq = new.seq)
  begin select raise(abort, 'the audit ledger is append-only'); end;
-- +goose StatementEnd

-- +goose Down
drop table audit;
drop table checks;
drop table executions;
drop table plans;
drop table runs;
drop table pulls;
drop table deliveries;
