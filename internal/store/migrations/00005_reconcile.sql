-- +goose Up

-- What has become of the branches that pull requests go to.
create table branches (
  repo_id     integer not null,
  ref         text not null,
  sha         text not null default '',   -- the head that was dealt with last
  moved_since integer not null default 0, -- the first move that is not dealt with yet
  moved_at    integer not null default 0, -- the last
  primary key (repo_id, ref)
);

-- The commits of such a branch in first-parent order, each with the pull request that it came from.
create table landings (
  repo_id integer not null,
  ref     text not null,
  seq     integer not null,
  sha     text not null,
  number  integer not null default 0, -- 0: none
  at      integer not null,
  primary key (repo_id, ref, seq),
  unique (repo_id, ref, sha)
);
create index landings_by_pull on landings (repo_id, number);

-- How far a repository was compared with GitHub.
create table reconciled (
  repo_id    integer primary key,
  pulls_at   integer not null default 0, -- by GitHub's clock: pull requests that changed before need no look
  pushed_at  integer not null default 0  -- the last push that was looked into
);

-- When the apply of a merge was asked for, and when that came to its end, whatever it is.
alter table pulls add column landed_at integer not null default 0;
alter table pulls add column settled_at integer not null default 0;
update pulls set landed_at = 1, settled_at = 1 where json_extract(facts, '$.merged'); -- dealt with by an earlier version
-- Why a merged pull request was not applied: fault.Error.
alter table pulls add column unapplied text not null default '';

-- A run of a merge group is of the group's commit, beside the runs of the pull request itself.
alter table runs add column group_sha text not null default '';
drop index runs_one_active;
create unique index runs_one_active on runs (repo_id, number, group_sha) where state in ('queued', 'running');
create index plans_by_state on plans (state_key);

-- +goose Down
drop index plans_by_state;
drop index runs_one_active;
create unique index runs_one_active on runs (repo_id, number) where state in ('queued', 'running');
alter table runs drop column group_sha;
alter table pulls drop column unapplied;
alter table pulls drop column settled_at;
alter table pulls drop column landed_at;
drop table reconciled;
drop table landings;
drop table branches;
