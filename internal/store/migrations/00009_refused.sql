-- +goose Up

-- The code of the project was refused before anything ran, so there is no plan of it.
alter table plans add column refused integer not null default 0;

-- +goose Down
alter table plans drop column refused;
