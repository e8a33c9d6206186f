-- +goose Up

-- How often a server process has begun with the run and not stopped in an orderly way since: a plan that ends its server
-- is not made again for ever.
alter table runs add column attempts integer not null default 0;

-- +goose Down
alter table runs drop column attempts;
