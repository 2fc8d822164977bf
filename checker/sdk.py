"""Everything that a lab's tasks.py, setup.py and the modules beside it may import from the course.

    from checker.sdk import Http, State, fail, task

A lab may also import Python's standard library, PyYAML, and the modules in its own folder
(`from .ledger import Ledger`).
The names are grouped by subject; the docstring of each says what goes in, what comes out, and what it
raises. By the first word of its name: `require_…` returns if a thing is as it must be and raises Failed otherwise;
`fail_if_…` raises Failed if something is wrong; `explain_…` always raises. A task gets a `State`. An observation's
`question` gets a `PlainState`: the same objects, without the questions that end a task.

tests/unit/test_rooms.py holds that labs import nothing else of the course. Nothing here does I/O.
"""

# ruff: noqa: F401, I001

from __future__ import annotations

# -- a task: a function that gets a State, and returns (passed) or raises (failed, unknown) --------------------------
from checker.grading.labs import program, task
from checker.grading.lab_state import LabState as State
from checker.model.durations import TIME_FOR_KUBELET_EVENTS as KUBELET_EVENTS_DELAY
from checker.model.fault import Fault, Phrase, Ref, is_late
from checker.model.state import Redacted
from checker.model.state import Object, parse_time
from checker.model.state import State as PlainState
from checker.model.verdict import Failed, NotPassed, Unknown, fail, unknown

# -- observations: what a task wants seen beyond the API server's objects --------------------------------------------
from checker.grading.observations import Creation, DnsInside, Http, NodePorts, Observation, PodsInside, Traffic
from checker.grading.observations import NotObserved
from checker.grading.observations import answered as answers_from_pod
from checker.grading.observations import inside as ask_in_pod
from checker.grading.observations import running_pods, service_address

# -- how observations read -------------------------------------------------------------------------------------------
from checker.grading.observations import Lookup
from checker.grading.shapes import AnswerShape, Count, Counted, Lookups, Number, conforms
from checker.grading.timeline import Drain, Replacement, Rollout, Restart, Scaling, Timeline
from checker.grading.timeline import NotReadyInterval
from checker.grading.timeline import FirstLineInterval
from checker.grading.timeline import Interval as NodeInterval
from checker.model.answers import Answer, Answers
from checker.model.answers import answers as read_answers

# -- words and numbers -----------------------------------------------------------------------------------------------
from checker.model.image_name import ImageName
from checker.model.kinds import KINDS
from checker.model.quantity import quantity
from checker.model.spelling import is_address, nearest

# -- owners, and what was applied ------------------------------------------------------------------------------------
from checker.diagnosis.owners import REVISION as REVISION_ANNOTATION
from checker.diagnosis.owners import workload_of
from checker.grading.applied import APPLIED as LAST_APPLIED
from checker.grading.applied import Difference, other_values
from checker.grading.applied import shown as shown_value

# -- Services --------------------------------------------------------------------------------------------------------
from checker.diagnosis.service import target_ports
from checker.grading.observations import ports_on_nodes
from checker.grading.service_selector import lasts as selects_by_template
from checker.grading.service_selector import require_lasting as require_selects_by_template

# -- probes ----------------------------------------------------------------------------------------------------------
from checker.diagnosis.probes import describe_probe
from checker.diagnosis.probes import fail_if_void as fail_if_probe_cannot_run
from checker.diagnosis.probes import failures as probe_failures
from checker.diagnosis.probes import handler as probe_handler
from checker.diagnosis.probes import notice as seconds_to_notice
from checker.diagnosis.probes import patience as seconds_to_fail_from_start
from checker.diagnosis.probes import result_of as probe_result
from checker.diagnosis.probes import soonest as least_seconds_to_fail
from checker.diagnosis.probes import timing as probe_timing

# -- configuration: ConfigMaps and Secrets, as variables and files ---------------------------------------------------
from checker.diagnosis.configuration import Source as ConfigSource
from checker.diagnosis.configuration import environment_references, keys_of, optional_and_missing
from checker.diagnosis.configuration import raise_not_in_volume as explain_not_in_volume
from checker.diagnosis.configuration import source_of_file, source_of_variable, volume_references

# -- resources: requests, limits, LimitRanges ------------------------------------------------------------------------
from checker.diagnosis.resources import amount as quantity_text
from checker.diagnosis.resources import defaults_of as limit_range_defaults
from checker.diagnosis.resources import fail_if_slip as fail_if_wrong_unit
from checker.diagnosis.resources import gives_defaults as limit_ranges_give
from checker.diagnosis.resources import limit_of
from checker.diagnosis.resources import usual_unit

# -- storage ---------------------------------------------------------------------------------------------------------
from checker.diagnosis.storage import claims_of
from checker.diagnosis.storage import size as storage_size
from checker.diagnosis.storage import users_of as users_of_claim
from checker.diagnosis.mounts import walk_data as require_data_lasts

# -- Jobs and CronJobs -----------------------------------------------------------------------------------------------
from checker.diagnosis.cron import Schedule, read_schedule
from checker.diagnosis.job import has_run as cron_job_has_run
from checker.diagnosis.job import is_by_hand as job_is_by_hand
from checker.diagnosis.job import is_complete as job_is_complete
from checker.diagnosis.job import most_at_once as most_pods_at_once
from checker.diagnosis.job import require_complete as require_job_complete
from checker.diagnosis.job import rule_for as failure_policy_action
from checker.diagnosis.job import runs as scheduled_jobs
from checker.diagnosis.job import schedule_of, tries_failed
from checker.diagnosis.job import trials as jobs_by_hand

# -- Pods behind anything, and how an object comes to work -----------------------------------------------------------
from checker.diagnosis import pods_of
from checker.diagnosis import walk as require_working
from checker.diagnosis.missing import require as require_object
from checker.diagnosis.refusals import in_words as refusal_in_words

# -- NetworkPolicies -------------------------------------------------------------------------------------------------
from checker.diagnosis.selectors import ANOTHER as ANOTHER_VALUE
from checker.diagnosis.network_policy import NAME_LABEL as NAMESPACE_NAME_LABEL
from checker.diagnosis.network_policy import NOWHERE as OUTSIDE_CLUSTER
from checker.diagnosis.network_policy import Direction, PathEnd, PathSide, PolicyPath
from checker.diagnosis.network_policy import cluster_dns
from checker.diagnosis.network_policy import end_of as path_end_of
from checker.diagnosis.network_policy_reasons import explain_closed as explain_path_closed
from checker.diagnosis.network_policy_reasons import explain_open as explain_path_open
from checker.diagnosis.network_policy import in_block as in_ip_block
from checker.diagnosis.network_policy import namespace_labels
from checker.diagnosis.selectors import label_sets
from checker.diagnosis.network_policy import outside as outside_cluster
from checker.diagnosis.network_policy import rules_of as policy_rules
from checker.diagnosis.selectors import selects
from checker.model.durations import TIME_TO_LISTEN

# -- nodes -----------------------------------------------------------------------------------------------------------
from checker.diagnosis.node import OF_THE_MOMENT as CONDITION_TAINT_PREFIX
from checker.diagnosis.node import fail_if_budget_holds as fail_if_budget_blocks
from checker.diagnosis.node import walk_node as require_node_well
from checker.diagnosis.taints import untolerated as untolerated_taints

# -- containers of the engine itself, without Kubernetes -------------------------------------------------------------
from checker.diagnosis.host_container import Container
from checker.diagnosis.host_container import require_answering as require_container_answers
from checker.diagnosis.host_container import require_reaches as require_container_reaches
from checker.diagnosis.host_container import require_running as require_container_runs
from checker.grading.container_engine import EngineObservation, EngineView

# -- labs that are made from a seed ----------------------------------------------------------------------------------
from checker.grading.seeds import seed_of
