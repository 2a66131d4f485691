/* Everything a call can end with. headrace_llamacpp/_statuses.py says what each means to Python. */
enum hr_status {
    HR_OK = 0,
    /* Outcomes of a step. */
    HR_NO_ROOM = 1,        /* llama_decode 1: no room in memory, which is as before */
    HR_INTERRUPTED = 2,    /* llama_decode 2: interrupt, time limit, or a signal */
    HR_BAD_BATCH = 3,      /* llama_decode -1: the batch was refused, memory is as before */
    HR_ALLOC_FAILED = 4,   /* llama_decode -2 */
    HR_COMPUTE_FAILED = 5, /* llama_decode -3 */
    HR_UNKNOWN_CODE = 6,   /* llama_decode anything else */
    /* What a guard caught. */
    HR_EXCEPTION = 10,         /* std::exception */
    HR_OUT_OF_MEMORY = 11,     /* std::bad_alloc, or no memory for a thread's stack */
    HR_NATIVE_ABORT = 12,      /* GGML_ABORT or GGML_ASSERT */
    HR_FOREIGN_EXCEPTION = 13, /* an exception of no known type */
    /* Refused before llama.cpp was called. */
    HR_BAD_ARGUMENT = 20,
    HR_CLOSED = 21,
    HR_FORKED = 22,   /* the handle belongs to the parent process */
    HR_BUSY = 23,     /* another thread is using the context */
    HR_POISONED = 24, /* an earlier call left the context unusable */
    /* Loading and opening. */
    HR_LOAD_FAILED = 30,    /* NULL from llama_model_load_from_file: the log says why */
    HR_LOAD_CANCELLED = 31, /* the progress function said stop */
    HR_CONTEXT_FAILED = 32, /* NULL from llama_init_from_model: the log says why */
    HR_NO_MEMORY_MODULE = 33, /* the model keeps nothing between steps: an encoder */
    HR_NO_DEVICES = 34,       /* no ggml backend is loaded */
    /* Files. */
    HR_FILE_REFUSED = 110,     /* NULL from gguf_init_from_file: the log says why */
    HR_FILE_NOT_WRITTEN = 111, /* false from gguf_write_to_file */
    HR_QUANTIZE_FAILED = 112,  /* nonzero from llama_model_quantize: the log says why */
    /* Text. */
    HR_BUFFER_TOO_SMALL = 40, /* the count says how much is needed */
    HR_TOKEN_OVERFLOW = 41,   /* llama_tokenize INT32_MIN */
    /* Sampling, of one row. */
    HR_NO_LOGITS = 50,
    HR_NO_CANDIDATE = 51, /* nothing is left to choose from */
    HR_NO_END_TOKEN = 52, /* the infill sampler needs a token that ends a text */
    HR_DEAD_END = 53,     /* nothing of what the row's mask allows can be chosen */
    /* State. */
    HR_STATE_FAILED = 80, /* the memory could not be written down: the log says why */
    /* Embedding. */
    HR_NO_VECTOR = 90, /* the call left no vector for a text */
    /* Memory. */
    HR_NO_ESTIMATE = 120, /* this llama.cpp does not tell what it would allocate */
    /* Other machines. */
    HR_NO_RPC = 121,         /* this llama.cpp was built without it */
    HR_RPC_NO_DEVICES = 122, /* the server offers nothing */
    HR_RPC_ENDED = 123,      /* the server's loop came back: stderr says why */
    /* Adapters and control vectors. */
    HR_ADAPTER_FORMAT = 100,   /* not such a file, or damaged; the message says why */
    HR_ADAPTER_MISMATCH = 101, /* made for another model; the message says why */
    HR_ADAPTER_FAILED = 102,   /* NULL from llama_adapter_lora_init: the log says why */
    HR_ADAPTER_REFUSED = 103,  /* the context does not take it; the log says why */
    /* Chat. */
    HR_NO_COMMON = 70,      /* the shim was compiled without libllama-common */
    HR_NO_TEMPLATE = 71,    /* the model has no chat template */
    HR_CHAT_TOO_LONG = 72,  /* a template, a request or what came of it is over its limit */
    HR_BAD_TEMPLATE = 73,   /* the template cannot be parsed */
    HR_RENDER_FAILED = 74,  /* the template cannot render this conversation */
    HR_BAD_OUTPUT = 75,     /* what the model wrote is not in the format of its template */
    HR_OVER_BOUNDS = 76,    /* it nests too deeply, or takes too long or too much memory */
};

/* How a call ended, in the caller's memory. */
typedef struct hr_report {
    uint64_t step_id;    /* the step this belongs to, once it has ended; else 0 */
    uint64_t call_id;    /* tag of the call's log entries */
    uint64_t log_serial; /* serial of the newest log entry when the call ended */
    int32_t status;
    int32_t native_code; /* llama.cpp's own code, where there is one */
    int32_t n_rows;      /* rows of the step */
    bool poisoned;       /* the context is unusable from now on */
    char message[1000];  /* native words, possibly empty */
} hr_report;

/* Returns nonzero to end the call. Called at most every 50 ms, on the thread that made it. */
typedef int (*hr_check_fn)(void *user);
