-- +goose Up

-- Who brought a head commit to a pull request, by GitHub's webhooks: none of them can approve it.
create table pushers (
  repo_id  integer not null,
  number   integer not null,
  head_sha text not null,
  user_id  integer not null,
  person   text not null,               -- change.User
  primary key (repo_id, number, head_sha, user_id)
);

-- Last pushers and teams as last read, for people to look at.
alter table pulls add column people text not null default '';

-- The word of two people that one apply may go without approvals.
create table glasses (
  id        text primary key,
  repo_id   integer not null,
  number    integer not null,
  project   text not null,
  head_sha  text not null,
  effect    text not null,              -- digest of the plan's effect
  glass     text not null,              -- change.Glass
  confirmed integer not null default 0,
  execution text not null default '',   -- the one apply that it was used for
  asked_at  integer not null
);
create index glasses_by_pull on glasses (repo_id, number);

-- +goose Down
drop table glasses;
alter table pulls drop column people;
drop table pushers;
