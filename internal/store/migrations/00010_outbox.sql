-- +goose Up

-- Pull requests of which GitHub may not know all yet. The row is there before anybody tries to tell it.
create table untold (
  repo_id integer not null,
  number  integer not null,
  changes integer not null default 1, -- so that news that come while GitHub is told are not taken for told
  primary key (repo_id, number)
);

-- Answers to people, in the order in which they are given. An occasion is answered once.
create table answers (
  seq      integer primary key,
  occasion text not null unique,
  repo_id  integer not null,
  number   integer not null,
  repo     text not null,               -- change.Repo: how GitHub knew it when it was asked
  body     text not null,
  mark     text not null default '',    -- hidden in the comment that carries it; written before the first attempt
  sent_at  integer not null default 0,
  doubt    integer not null default 0   -- until when a request that GitHub never answered may still be carried out
);
create index answers_waiting on answers (repo_id, number) where sent_at = 0 or doubt > 0;

alter table checks add column doubt integer not null default 0;
alter table pulls add column comment_doubt integer not null default 0;

-- Commands of the last minutes, to tell a flood.
create table commands (
  comment_id integer primary key,
  repo_id    integer not null,
  number     integer not null,
  user_id    integer not null,
  obeyed     integer not null,
  at         integer not null
);
create index commands_by_user on commands (repo_id, number, user_id, at);

-- +goose Down
drop table commands;
alter table pulls drop column comment_doubt;
alter table checks drop column doubt;
drop table answers;
drop table untold;
