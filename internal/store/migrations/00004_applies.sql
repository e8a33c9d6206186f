-- +goose Up

-- The number of the last claim of each Terraform state. An older claim may not start any more.
create table fences (
  state_key text primary key,
  token     integer not null
);
alter table executions add column fence integer not null default 0;

-- Who resolved an unknown outcome, and how: change.Resolved. released_by names the person as well, for the lock.
alter table executions add column resolved text not null default '';
-- What a plan showed after an unknown outcome: change.Evidence, empty before; and how often it was tried.
alter table executions add column evidence text not null default '';
alter table executions add column evidences integer not null default 0;
-- Where the state is that Terraform could not save: a reference to an artifact, empty if there is none.
alter table executions add column errored_state text not null default '';

-- +goose Down
alter table executions drop column errored_state;
alter table executions drop column evidences;
alter table executions drop column evidence;
alter table executions drop column resolved;
alter table executions drop column fence;
drop table fences;
