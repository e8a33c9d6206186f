#!/usr/bin/env python3
"""Serves an AWS emulator for the stack: moto, with the gaps closed that the stack would fall into.

moto 5.2.1 forgets some of what it is told (a service's capacity providers, a security group rule's
description) and lacks a few actions, so that the very configuration that is right for AWS never
finishes an apply, or finds something to change in every plan. What is missing is mended here, and
nothing in the configuration bends to the emulator.

    serve.py --port 5000 --bootstrap --record calls.jsonl

With --bootstrap it starts with what an account has before the first plan: the state bucket
($TERRAFORM_STATE_BUCKET in $TERRAFORM_STATE_BUCKET_REGION) and the public hosted zones that are asked
for with --zone. When it answers, it prints one line: "ready http://127.0.0.1:PORT".
Terraform needs three variables: AWS_ENDPOINT_URL with that address, AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY with anything.
"""

import argparse
import datetime
import io
import json
import os
import re
import signal
import sys
import threading
import traceback
import urllib.parse

# All of this has to come before moto is imported: it looks up the shell's profile, and fails if there is none.
os.environ.pop("AWS_PROFILE", None)
os.environ.pop("AWS_DEFAULT_PROFILE", None)
os.environ.setdefault("MOTO_ACM_VALIDATION_WAIT", "1")  # seconds until a certificate is issued
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # the stack has no instances

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ecs.models import EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.route53.models import Route53Backend, route53_backends
from moto.s3.models import s3_backends
from moto.utilities.tagging_service import TaggingService
from werkzeug.serving import WSGIRequestHandler, make_server

HOST = "127.0.0.1"  # an address, not a name: with a name the SDK looks for buckets in subdomains


# --- What moto lacks ---


def mend_autoscaling_tags():
    """Application Auto Scaling: tags on scalable targets, which the provider always reads."""
    register = ApplicationAutoScalingResponse.register_scalable_target

    def tags_of(backend):
        if not hasattr(backend, "tagger"):
            backend.tagger = TaggingService()
        return backend.tagger

    def register_scalable_target(self):
        answer = register(self)
        arn = json.loads(answer)["ScalableTargetARN"]
        tags = self._get_param("Tags") or {}
        tags_of(self.applicationautoscaling_backend).tag_resource(
            arn, TaggingService.convert_dict_to_tags_input(tags)
        )
        return answer

    def tag_resource(self):
        tags_of(self.applicationautoscaling_backend).tag_resource(
            self._get_param("ResourceARN"),
            TaggingService.convert_dict_to_tags_input(self._get_param("Tags")),
        )
        return "{}"

    def untag_resource(self):
        tags_of(self.applicationautoscaling_backend).untag_resource_using_names(
            self._get_param("ResourceARN"), self._get_param("TagKeys")
        )
        return "{}"

    def list_tags_for_resource(self):
        tags = tags_of(self.applicationautoscaling_backend).get_tag_dict_for_resource(
            self._get_param("ResourceARN")
        )
        return json.dumps({"Tags": tags})

    ApplicationAutoScalingResponse.register_scalable_target = register_scalable_target
    ApplicationAutoScalingResponse.tag_resource = tag_resource
    ApplicationAutoScalingResponse.untag_resource = untag_resource
    ApplicationAutoScalingResponse.list_tags_for_resource = list_tags_for_resource


def mend_ecs_services():
    """ECS: what CreateService is told is kept, and the tasks asked for run at once."""
    kept = {
        "availabilityZoneRebalancing": "availability_zone_rebalancing",
        "capacityProviderStrategy": "capacity_provider_strategy",
        "deploymentConfiguration": "deployment_configuration",
        "enableECSManagedTags": "enable_ecs_managed_tags",
        "enableExecuteCommand": "enable_execute_command",
        "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    }
    create = EC2ContainerServiceResponse.create_service
    update = EC2ContainerServiceBackend.update_service

    def settle(service, service_connect):
        service.running_count = service.desired_count
        service.pending_count = 0
        for deployment in service.deployments:
            deployment.update(
                desiredCount=service.desired_count,
                runningCount=service.desired_count,
                pendingCount=0,
                taskDefinition=service.task_definition,
                rolloutState="COMPLETED",
            )
            if service_connect:
                deployment["serviceConnectConfiguration"] = service_connect

    def create_service(self):
        answer = create(self)
        service = answer.result["service"]
        for parameter, attribute in kept.items():
            value = self._get_param(parameter)
            if value is not None:
                setattr(service, attribute, value)
        if self._get_param("capacityProviderStrategy"):
            service.launch_type = None  # one excludes the other
        settle(service, self._get_param("serviceConnectConfiguration"))
        return answer

    def update_service(self, service_properties):
        service_connect = service_properties.get("service_connect_configuration")
        service = update(self, service_properties)
        settle(service, service_connect)
        return service

    EC2ContainerServiceResponse.create_service = create_service
    EC2ContainerServiceBackend.update_service = update_service


def mend_security_group_rules():
    """EC2: a rule keeps its description also where it names a group or a prefix list."""
    create = SecurityGroupRule.__init__

    def init(self, ec2_backend, ip_protocol, group_id, from_port, to_port, ip_range,
             source_group=None, prefix_list_id=None, **rest):
        create(self, ec2_backend, ip_protocol, group_id, from_port, to_port, ip_range,
               source_group, prefix_list_id, **rest)
        description = (source_group or prefix_list_id or {}).get("Description")
        if description:
            self.ip_range = {"Description": description}  # where moto looks for it, and keeps changes

    SecurityGroupRule.__init__ = init


def mend_dns_records():
    """Route 53: a record that was deleted can be made again."""
    change = Route53Backend.change_resource_record_sets

    def which(entry):
        record = entry["ResourceRecordSet"]
        return record["Name"].rstrip("."), record["Type"]

    def change_resource_record_sets(self, zoneid, change_list):
        deleted = [which(entry) for entry in change_list if entry["Action"] == "DELETE"]
        change(self, zoneid, change_list)
        journal = self.get_hosted_zone(zoneid).rr_changes
        journal[:] = [entry for entry in journal if which(entry) not in deleted]

    Route53Backend.change_resource_record_sets = change_resource_record_sets


# --- The record of calls ---


READING = ("Describe", "List", "Get", "Head", "BatchGet", "Check", "Lookup", "Simulate")

# What a call is about, most telling first; otherwise it is its first parameter.
IDENTIFYING = (
    "serviceName", "service", "clusterName", "family", "taskDefinition", "cluster", "logGroupName",
    "RoleName", "TargetKeyId", "AliasName", "AlarmName", "LoadBalancerName", "PolicyName", "ResourceId",
    "ResourceARN", "ResourceArn", "resourceArn", "GroupName", "ServiceName", "DomainName", "Name", "name",
)
UNIMPORTANT = ("Action", "Version", "ClientToken", "ClientRequestToken", "CreatorRequestId", "DryRun")
REST_ACTIONS = (
    ("s3", "PUT", r"[^/]+/?", "CreateBucket"),
    ("s3", "PUT", r"[^/]+/.+", "PutObject"),
    ("s3", "DELETE", r"[^/]+/.+", "DeleteObject"),
    ("route53", "POST", r"[^/]+/hostedzone/?", "CreateHostedZone"),
    ("route53", "POST", r"[^/]+/hostedzone/[^/]+/rrset/?", "ChangeResourceRecordSets"),
)


class Record:
    """Appends a line of JSON for each call that changes something, when it has been answered."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, call, status):
        now = datetime.datetime.now(datetime.timezone.utc)
        line = {"time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **call, "status": status}
        with self.lock:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def describe_call(environ):
    """Service, action and resource of a request; None for one that changes nothing."""
    service = signed_service(environ)
    parameters = request_parameters(environ)
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        action = target.rpartition(".")[2]
    elif "Action" in parameters:
        action = parameters["Action"]
    else:
        return describe_rest_call(service, environ)
    if action.startswith(READING):
        return None
    return {"service": service, "action": action, "resource": main_parameter(parameters)}


def describe_rest_call(service, environ):
    """S3 and Route 53 name no action: the SDK of Terraform adds one to the query, others leave it to the path."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].lstrip("/")
    if method in ("GET", "HEAD", "OPTIONS"):
        return None
    named = urllib.parse.parse_qs(environ.get("QUERY_STRING", "")).get("x-id")
    if named:
        action = named[0]
    else:
        action = next((name for of, by, shape, name in REST_ACTIONS
                       if (of, by) == (service, method) and re.fullmatch(shape, path)), method)
    return {"service": service, "action": action, "resource": path}


def signed_service(environ):
    """The service in the signature's scope: Credential=KEY/DATE/REGION/SERVICE/aws4_request."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    return scope[3] if len(scope) == 5 else "unknown"


def request_parameters(environ):
    """The parameters of a JSON or form request; its body can be read again afterwards."""
    kind = environ.get("CONTENT_TYPE", "")
    if "json" not in kind and "form" not in kind:
        return {}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    try:
        if "json" in kind:
            return json.loads(body or b"{}")
        return dict(urllib.parse.parse_qsl(body.decode()))
    except ValueError:
        return {}


def main_parameter(parameters):
    for name in IDENTIFYING:
        if isinstance(parameters.get(name), str):
            return parameters[name]
    rest = (value for name, value in parameters.items() if name not in UNIMPORTANT and isinstance(value, str))
    return next(rest, "")


# --- The server ---


class Emulator:
    """moto's application, recorded, and answering at once where moto would raise an exception."""

    def __init__(self, record):
        self.app = DomainDispatcherApplication(create_backend_app)
        self.record = record

    def __call__(self, environ, start_response):
        call = self.record and describe_call(environ)
        status = [0]

        def remember(line, headers, *rest):
            status[0] = int(line.split()[0])
            return start_response(line, headers, *rest)

        try:
            body = list(self.app(environ, remember))
        except Exception as problem:  # of any kind: moto's gaps show as exceptions
            traceback.print_exc()
            # 400, because an SDK would try a 500 again for minutes before it says anything.
            answer = json.dumps({"__type": "NotImplemented", "message": f"AWS emulator: {problem}"}).encode()
            headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(answer)))]
            remember("400 Bad Request", headers, sys.exc_info())
            body = [answer]
        if call:
            self.record.write(call, status[0])
        return body


class QuietHandler(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        """Says nothing: a plan alone makes hundreds of requests."""


def bootstrap(bucket, region, zones):
    """Makes what an account has before the first plan."""
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(bucket, region)
    for zone in zones:
        route53_backends[DEFAULT_ACCOUNT_ID]["aws"].create_hosted_zone(zone, private_zone=False, caller_reference=zone)


def arguments():
    parser = argparse.ArgumentParser(description="Serves an AWS emulator for the payment infrastructure.")
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1, 0 for a free one (default: 5000)")
    parser.add_argument("--record", metavar="FILE", help="append a line of JSON for each call that changes something")
    parser.add_argument("--bootstrap", action="store_true", help="make the state bucket and the hosted zones")
    parser.add_argument("--zone", action="append", metavar="DOMAIN", help="make it instead of payments.example.com")
    chosen = parser.parse_args()
    needed = ("TERRAFORM_STATE_BUCKET", "TERRAFORM_STATE_BUCKET_REGION")
    missing = [name for name in needed if not os.environ.get(name)]
    if chosen.bootstrap and missing:
        parser.error(f"--bootstrap makes the state bucket: set {' and '.join(missing)}")
    return chosen


def main():
    chosen = arguments()
    mend_autoscaling_tags()
    mend_ecs_services()
    mend_security_group_rules()
    mend_dns_records()
    if chosen.bootstrap:
        bootstrap(
            os.environ["TERRAFORM_STATE_BUCKET"],
            os.environ["TERRAFORM_STATE_BUCKET_REGION"],
            chosen.zone or ["payments.example.com"],
        )

    emulator = Emulator(Record(chosen.record) if chosen.record else None)
    server = make_server(HOST, chosen.port, emulator, threaded=True, request_handler=QuietHandler)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: sys.exit(0))
    print(f"ready http://{HOST}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
