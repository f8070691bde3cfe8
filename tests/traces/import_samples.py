"""What Langfuse, Phoenix and MLflow export, in their own words; made after their documentation."""

from typing import Any

LANGFUSE_TRACE: dict[str, Any] = {
    "id": "3f8a1c9e-52b7-4c1e-9d7a-0a1b2c3d4e5f",
    "timestamp": "2026-03-01T10:00:00.000Z",
    "name": "support-chat",
    "userId": "user-42",
    "sessionId": "session-7",
    "environment": "production",
    "release": "v1.4",
    "tags": ["beta", "de"],
    "metadata": {"tenant": "acme", "plan": {"tier": 2}},
    "input": {"question": "Where is my parcel?"},
    "output": "On its way.",
    "latency": 2.5,
    "totalCost": 0.00123,
    "scores": [
        {"id": "sc-1", "name": "helpfulness", "value": 0.9, "comment": "clear", "dataType": "NUMERIC"},
        {"id": "sc-2", "name": "tone", "value": None, "stringValue": "friendly", "dataType": "CATEGORICAL"},
    ],
    "observations": [
        {
            "id": "obs-retrieve",
            "traceId": "3f8a1c9e-52b7-4c1e-9d7a-0a1b2c3d4e5f",
            "type": "SPAN",
            "name": "retrieve",
            "startTime": "2026-03-01T10:00:00.100Z",
            "endTime": "2026-03-01T10:00:00.400Z",
            "level": "DEFAULT",
            "parentObservationId": None,
            "input": "parcel",
            "output": ["doc 1"],
        },
        {
            "id": "obs-answer",
            "traceId": "3f8a1c9e-52b7-4c1e-9d7a-0a1b2c3d4e5f",
            "type": "GENERATION",
            "name": "answer",
            "startTime": "2026-03-01T10:00:00.500Z",
            "endTime": "2026-03-01T10:00:02.500Z",
            "completionStartTime": "2026-03-01T10:00:01.000Z",
            "model": "gpt-4o-mini",
            "modelParameters": {"temperature": 0.2},
            "parentObservationId": "obs-retrieve",
            "input": [{"role": "user", "content": "Where is my parcel?"}],
            "output": {"role": "assistant", "content": "On its way."},
            "usageDetails": {"input": 60, "input_cached_tokens": 40, "output": 20, "total": 120},
            "costDetails": {"input": 0.001, "output": 0.00023, "total": 0.00123},
            "promptName": "support",
            "promptVersion": 3,
            "metadata": {"attempt": 1},
        },
        {
            "id": "obs-failed",
            "traceId": "3f8a1c9e-52b7-4c1e-9d7a-0a1b2c3d4e5f",
            "type": "TOOL",
            "name": "track",
            "startTime": "2026-03-01T10:00:02.500Z",
            "endTime": None,
            "level": "ERROR",
            "statusMessage": "no such parcel",
            "parentObservationId": "obs-retrieve",
        },
    ],
}
"""As GET /api/public/traces/{id} answers and the user interface exports."""

LANGFUSE_TABLES: list[dict[str, Any]] = [
    {
        "id": "trace-without-hex",
        "timestamp": "2026-03-01 10:00:00.000000",
        "name": "job",
        "user_id": "u1",
        "session_id": None,
        "tags": [],
        "metadata": "{}",
        "input": "",
        "output": "",
    },
    {
        "id": "o1",
        "trace_id": "trace-without-hex",
        "type": "GENERATION",
        "name": "call",
        "start_time": "2026-03-01 10:00:00.000000",
        "end_time": "2026-03-01 10:00:01.500000",
        "parent_observation_id": None,
        "provided_model_name": "claude-sonnet-4-5",
        "usage_details": {"input": 10, "output": 5, "total": 15},
        "cost_details": {},
        "total_cost": 0.0002,
        "level": "DEFAULT",
        "input": '{"messages":[{"role":"user","content":"hi"}]}',
        "output": "hello",
    },
]
"""Rows of the blob storage export: traces and observations apart."""

LANGFUSE_ENRICHED: dict[str, Any] = {
    "id": "a1b2c3d4e5f60718",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "trace_name": "chat",
    "user_id": "u9",
    "session_id": "s9",
    "tags": ["x"],
    "environment": "staging",
    "type": "EMBEDDING",
    "name": "embed",
    "start_time": "2026-03-01 10:00:00.000000",
    "end_time": "2026-03-01 10:00:00.250000",
    "parent_observation_id": None,
    "provided_model_name": "text-embedding-3-small",
    "usage_details": {"input": 7, "total": 7},
    "level": "DEFAULT",
}
"""A row of the enriched observations."""

LANGFUSE_SCORES: list[dict[str, Any]] = [
    {
        "id": "s1",
        "timestamp": "2026-03-01 10:05:00.000000",
        "environment": "default",
        "trace_id": "trace-without-hex",
        "observation_id": "o1",
        "session_id": None,
        "name": "helpfulness",
        "value": 0.25,
        "source": "ANNOTATION",
        "comment": "vague",
        "data_type": "NUMERIC",
        "string_value": None,
    },
    {
        "id": "s2",
        "timestamp": "2026-03-01 10:05:00.000000",
        "trace_id": "trace-without-hex",
        "name": "tone",
        "value": None,
        "source": "EVAL",
        "data_type": "CATEGORICAL",
        "string_value": "friendly",
    },
    {
        "id": "s3",
        "timestamp": "2026-03-01 10:05:00.000000",
        "trace_id": None,
        "session_id": "session-7",
        "name": "resolved",
        "value": 1,
        "source": "API",
        "data_type": "BOOLEAN",
    },
]
"""Rows of the table of scores, which every blob storage export has."""

PHOENIX_ROWS: list[dict[str, Any]] = [
    {
        "name": "query",
        "span_kind": "CHAIN",
        "parent_id": None,
        "start_time": 1772359200000,
        "end_time": 1772359203000,
        "status_code": "OK",
        "status_message": "",
        "events": [],
        "context.span_id": "00f067aa0ba902b7",
        "context.trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "attributes.openinference.span.kind": "CHAIN",
        "attributes.input.value": "What is it?",
        "attributes.output.value": "A test.",
        "attributes.session.id": "chat-1",
        "attributes.user.id": "u-1",
        "attributes.metadata": {"team": "search", "beta": None},
        "attributes.llm.input_messages": None,
    },
    {
        "name": "ChatCompletion",
        "span_kind": "LLM",
        "parent_id": "00f067aa0ba902b7",
        "start_time": "2026-03-01T10:00:01+00:00",
        "end_time": "2026-03-01T10:00:02.500+00:00",
        "status_code": "ERROR",
        "status_message": "timeout",
        "events": [
            {
                "name": "exception",
                "timestamp": "2026-03-01T10:00:02+00:00",
                "attributes": {"exception.type": "Timeout", "exception.message": "too late"},
            }
        ],
        "context.span_id": "1122334455667788",
        "context.trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "attributes.openinference.span.kind": "LLM",
        "attributes.llm.model_name": "gpt-4o-mini",
        "attributes.llm.provider": "openai",
        "attributes.llm.input_messages": [
            {"message.role": "user", "message.content": "What is it?", "message.tool_calls": None}
        ],
        "attributes.llm.output_messages": [{"message": {"role": "assistant", "content": "A test."}}],
        "attributes.llm.token_count.prompt": 12.0,
        "attributes.llm.token_count.completion": 4.0,
        "attributes.llm.token_count.total": 16.0,
        "attributes.metadata": None,
    },
]
"""Rows of `get_spans_dataframe()`, as pandas writes them: milliseconds, floats, columns without a value."""

PHOENIX_API: dict[str, Any] = {
    "data": [
        {
            "id": "U3Bhbjox",
            "name": "tool call",
            "context": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "aabbccddeeff0011"},
            "span_kind": "TOOL",
            "parent_id": "00f067aa0ba902b7",
            "start_time": "2026-03-01T10:00:00Z",
            "end_time": "2026-03-01T10:00:00.010Z",
            "status_code": "UNSET",
            "status_message": "",
            "attributes": {"input.value": '{"a": 1}', "tool.name": "adder"},
            "events": [],
        }
    ],
    "next_cursor": None,
}
"""A page of GET /v1/projects/{project}/spans."""

MLFLOW_V3: dict[str, Any] = {
    "info": {
        "trace_id": "tr-0af7651916cd43dd8448eb211c80319c",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}},
        "request_time": "2026-03-01T10:00:00Z",
        "execution_duration": "1.2s",
        "state": "OK",
        "trace_metadata": {
            "mlflow.trace.user": "ada",
            "mlflow.trace.session": "s-5",
            "mlflow.trace.tokenUsage": '{"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}',
            "build": "77",
        },
        "tags": {"mlflow.traceName": "predict", "team": "nlp"},
    },
    "data": {
        "spans": [
            {
                "trace_id": "CvdlGRbNQ92ESOshHIAxnA==",
                "span_id": "APBnqgupArc=",
                "parent_span_id": None,
                "name": "predict",
                "start_time_unix_nano": 1772359200000000000,
                "end_time_unix_nano": 1772359201200000000,
                "events": [],
                "status": {"code": "STATUS_CODE_OK", "message": ""},
                "attributes": {
                    "mlflow.traceRequestId": '"tr-0af7651916cd43dd8448eb211c80319c"',
                    "mlflow.spanType": '"CHAIN"',
                    "mlflow.spanInputs": '{"question": "hi"}',
                    "mlflow.spanOutputs": '"hello"',
                },
            },
            {
                "trace_id": "CvdlGRbNQ92ESOshHIAxnA==",
                "span_id": "ESIzRFVmd4g=",
                "parent_span_id": "APBnqgupArc=",
                "name": "Completions",
                "start_time_unix_nano": 1772359200100000000,
                "end_time_unix_nano": 1772359201000000000,
                "events": [
                    {
                        "name": "exception",
                        "time_unix_nano": 1772359201000000000,
                        "attributes": {"exception.type": "ValueError", "exception.message": "bad"},
                    }
                ],
                "status": {"code": "STATUS_CODE_ERROR", "message": "bad"},
                "attributes": {
                    "mlflow.spanType": '"CHAT_MODEL"',
                    "mlflow.spanInputs": '{"model": "gpt-4o-mini", "messages": []}',
                    "mlflow.llm.model": '"gpt-4o-mini"',
                    "mlflow.chat.tokenUsage": '{"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}',
                },
            },
        ]
    },
}
"""`Trace.to_dict()` of MLflow 3."""

MLFLOW_V2: dict[str, Any] = {
    "info": {
        "request_id": "5be1b9d2c0a04e2f8f3a1e8b6b6f0c11",
        "experiment_id": "0",
        "timestamp_ms": 1772359200000,
        "execution_time_ms": 50,
        "status": "OK",
        "request_metadata": {"mlflow.traceInputs": "{}"},
        "tags": {"mlflow.source.name": "x.py"},
    },
    "data": {
        "spans": [
            {
                "name": "f",
                "context": {
                    "span_id": "0x6fc32f36ef591f60",
                    "trace_id": "0x88d0d3dcc3ef9cdb5bd5d7a2a5a5e6c1",
                },
                "parent_id": None,
                "start_time": 1772359200000000000,
                "end_time": 1772359200050000000,
                "status_code": "OK",
                "status_message": "",
                "attributes": {"mlflow.spanType": '"TOOL"', "mlflow.spanInputs": '{"x": 1}'},
                "events": [],
            }
        ],
        "request": '{"x": 1}',
        "response": "2",
    },
}
"""`Trace.to_dict()` of MLflow 2."""
