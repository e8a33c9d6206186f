-- +goose Up

-- When what is stored of a plan was given up, because nobody can apply it any more. The files go after that, and then the
-- references to them.
alter table plans add column discarded_at integer not null default 0;
-- When all that was kept of a plan or an execution beside its row was deleted because of its age.
alter table plans add column expired_at integer not null default 0;
alter table executions add column expired_at integer not null default 0;

create index plans_discarded on plans (discarded_at) where discarded_at > 0 and artifacts not in ('', '{}');
create index plans_by_age on plans (finished_at) where expired_at = 0 and finished_at > 0;
create index executions_by_age on executions (finished_at) where expired_at = 0 and finished_at > 0;

-- +goose Down
drop index executions_by_age;
drop index plans_by_age;
drop index plans_discarded;
alter table executions drop column expired_at;
alter table plans drop column expired_at;
alter table plans drop column discarded_at;
