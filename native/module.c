/* The Python module `cicsc.history._native`, which `native.py` documents: a class and three functions. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "blocks.h"
#include "canonical.h"
#include "rows.h"

typedef struct {
    PyObject_HEAD
    Streams streams;
    PyObject *texts; /* list of bytes: what the streams point into */
    size_t texts_size;
} Gatherer;

static uint64_t hash_of(const void *data, size_t size)
{
    return (uint64_t)_Py_HashBytes(data, (Py_ssize_t)size); /* keyed anew in each process */
}

static PyObject *gatherer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    Gatherer *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Gatherer", names))
        return NULL;
    if ((self = (Gatherer *)type->tp_alloc(type, 0)) == NULL)
        return NULL;
    if ((self->texts = PyList_New(0)) == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void gatherer_dealloc(Gatherer *self)
{
    PyTypeObject *type = Py_TYPE(self);

    streams_clear(&self->streams);
    Py_XDECREF(self->texts);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static bool append(PyObject *list, PyObject *item)
{
    int failed = item == NULL || PyList_Append(list, item);

    Py_XDECREF(item);
    return !failed;
}

/* What `take` found in a text. */
typedef struct {
    Py_ssize_t events;
    int64_t latest;
    PyObject *others;
} Taken;

static bool take_lines(Gatherer *self, const char *at, const char *end, Taken *taken)
{
    Record record;

    for (Py_ssize_t line = 0; at < end; line++) {
        const char *line_end = record_scan(at, end, &record);
        if (line_end == NULL) {
            line_end = memchr(at, '\n', (size_t)(end - at));
            if (!append(taken->others, Py_BuildValue("ny#", line, at, (Py_ssize_t)(line_end - at))))
                return false;
        } else {
            if (!streams_add(&self->streams, &record, (Span){at, (size_t)(line_end - at)}, hash_of)) {
                PyErr_NoMemory();
                return false;
            }
            if (taken->events++ == 0 || record.ts > taken->latest)
                taken->latest = record.ts;
        }
        at = line_end + 1;
    }
    return true;
}

static PyObject *gatherer_take(Gatherer *self, PyObject *text)
{
    Taken taken = {0, 0, NULL};
    PyObject *found = NULL;
    Py_ssize_t size;

    if (!PyBytes_Check(text))
        return PyErr_Format(PyExc_TypeError, "expected bytes, found %s", Py_TYPE(text)->tp_name);
    size = PyBytes_GET_SIZE(text);
    if (size == 0 || PyBytes_AS_STRING(text)[size - 1] != '\n')
        return PyErr_Format(PyExc_ValueError, "expected lines, each with a line feed at its end");
    if ((taken.others = PyList_New(0)) == NULL)
        return NULL;
    /* The text is kept before anything points into it. */
    if (PyList_Append(self->texts, text) == 0 &&
        take_lines(self, PyBytes_AS_STRING(text), PyBytes_AS_STRING(text) + size, &taken)) {
        if (taken.events == 0)
            PyList_SetSlice(self->texts, PyList_GET_SIZE(self->texts) - 1, PyList_GET_SIZE(self->texts), NULL);
        else
            self->texts_size += (size_t)size;
        found = Py_BuildValue("nLO", taken.events, (long long)taken.latest, taken.others);
    }
    Py_DECREF(taken.others);
    return found;
}

static PyObject *names_of(const Stream *stream)
{
    const Span *names = stream->names;

    return Py_BuildValue("s#s#s#", names[0].at, (Py_ssize_t)names[0].size, names[1].at, (Py_ssize_t)names[1].size,
                         names[2].at, (Py_ssize_t)names[2].size);
}

/* The names, seqs and records of a stream. */
static PyObject *stream_value(const Stream *stream)
{
    PyObject *seqs = PyList_New(0), *records = PyList_New(0), *found = NULL;
    bool is_done = seqs != NULL && records != NULL;

    for (size_t number = 0; is_done && number < stream->count; number++) {
        const Event *event = &stream->events[number];
        is_done = append(seqs, PyLong_FromLongLong(event->seq)) &&
                  append(records, PyBytes_FromStringAndSize(event->text.at, (Py_ssize_t)event->text.size));
    }
    if (is_done)
        found = Py_BuildValue("NOO", names_of(stream), seqs, records);
    Py_XDECREF(seqs);
    Py_XDECREF(records);
    return found;
}

static PyObject *gatherer_sort(Gatherer *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *ties = PyList_New(0);

    if (ties == NULL)
        return NULL;
    if (!streams_sort(&self->streams)) {
        Py_DECREF(ties);
        return PyErr_NoMemory();
    }
    for (size_t number = 0; number < self->streams.count; number++) {
        const Stream *stream = &self->streams.streams[number];
        if (stream_has_ties(stream) && !append(ties, stream_value(stream))) {
            Py_DECREF(ties);
            return NULL;
        }
    }
    for (size_t number = 0; number < self->streams.count; number++)
        if (stream_has_ties(&self->streams.streams[number]))
            self->streams.streams[number].count = 0;
    return ties;
}

static PyObject *gatherer_blocks(Gatherer *self, PyObject *args)
{
    Py_ssize_t stream, event, events_max, text_max, bytes_max;
    PyObject *found = NULL;
    Bytes bytes = {NULL, 0, 0};

    if (!PyArg_ParseTuple(args, "(nn)(nn)n:blocks", &stream, &event, &events_max, &text_max, &bytes_max))
        return NULL;
    if (stream < 0 || event < 0 || bytes_max < 1 || !(self->streams.is_sorted || self->streams.count == 0))
        return PyErr_Format(PyExc_ValueError, "expected a place in what was sorted, and room");
    if (events_max < 1 || events_max > UINT16_MAX || text_max < 0)
        return PyErr_Format(PyExc_ValueError, "expected bounds of at least one event, and at most %d", UINT16_MAX);
    Place place = {(size_t)stream, (size_t)event};
    if (!place_settle(&self->streams, &place))
        Py_RETURN_NONE;
    const Stream *first = &self->streams.streams[place.stream];
    if (blocks_write(&bytes, &self->streams, &place, (Bounds){(size_t)events_max, (size_t)text_max}, (size_t)bytes_max))
        found = Py_BuildValue("(nn)Ny#", (Py_ssize_t)place.stream, (Py_ssize_t)place.event, names_of(first), bytes.data,
                              (Py_ssize_t)bytes.size);
    else
        PyErr_NoMemory();
    free(bytes.data);
    return found;
}

static PyObject *gatherer_clear(Gatherer *self, PyObject *Py_UNUSED(ignored))
{
    streams_clear(&self->streams);
    self->texts_size = 0;
    if (PyList_SetSlice(self->texts, 0, PyList_GET_SIZE(self->texts), NULL))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *gatherer_size(Gatherer *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(self->texts_size + self->streams.bytes);
}

static PyMethodDef gatherer_methods[] = {
    {"take", (PyCFunction)gatherer_take, METH_O, NULL},
    {"sort", (PyCFunction)gatherer_sort, METH_NOARGS, NULL},
    {"blocks", (PyCFunction)gatherer_blocks, METH_VARARGS, NULL},
    {"clear", (PyCFunction)gatherer_clear, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef gatherer_properties[] = {
    {"size", (getter)gatherer_size, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot gatherer_slots[] = {
    {Py_tp_new, gatherer_new},         {Py_tp_dealloc, gatherer_dealloc},    {Py_tp_methods, gatherer_methods},
    {Py_tp_getset, gatherer_properties}, {0, NULL},
};

static PyType_Spec gatherer_spec = {
    .name = "cicsc.history._native.Gatherer",
    .basicsize = sizeof(Gatherer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = gatherer_slots,
};

/* ------------------------------------------------------------------------------------------------------------- rows */

static bool is_same(Span one, Span other)
{
    return one.size == other.size && memcmp(one.at, other.at, one.size) == 0;
}

/* Makes records of all rows; returns false with an exception, or without one where some row is another. */
static bool make_records(const char *at, const char *end, Span tenant, Bytes *records, PyObject *positions, PyObject *begins)
{
    Row row, last = {0};

    for (Py_ssize_t number = 0; at < end; number++) {
        RowOutcome outcome = row_record(&at, end, tenant, records, &row);
        if (outcome == ROW_NO_MEMORY)
            PyErr_NoMemory();
        if (outcome != ROW_TAKEN)
            return false;
        bool begins_here = number == 0 || !is_same(row.entity_id, last.entity_id) || !is_same(row.entity_type, last.entity_type);
        if (begins_here && !append(begins, Py_BuildValue("nn", number, (Py_ssize_t)row.offset)))
            return false;
        if (!append(positions, PyLong_FromLongLong(row.position)))
            return false;
        last = row;
    }
    return true;
}

static PyObject *records_of_rows(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *rows, *positions = PyList_New(0), *begins = PyList_New(0), *found = NULL;
    Bytes records = {NULL, 0, 0};
    const char *tenant;
    Py_ssize_t tenant_size;

    if (positions != NULL && begins != NULL && PyArg_ParseTuple(args, "Sy#:records_of_rows", &rows, &tenant, &tenant_size)) {
        const char *at = PyBytes_AS_STRING(rows), *end = at + PyBytes_GET_SIZE(rows);
        if (at == end || end[-1] != '\n')
            PyErr_Format(PyExc_ValueError, "expected rows, each with a line feed at its end");
        else if (make_records(at, end, (Span){tenant, (size_t)tenant_size}, &records, positions, begins))
            found = Py_BuildValue("y#OO", records.data, (Py_ssize_t)records.size, positions, begins);
        else if (!PyErr_Occurred())
            found = Py_NewRef(Py_None);
        free(records.data);
    }
    Py_XDECREF(positions);
    Py_XDECREF(begins);
    return found;
}

/* Makes rows of all records, at the places that two lists name; returns false as `make_records` does. */
static bool make_rows(const char *at, const char *end, Span tenant, Span first, PyObject *const lists[2], Bytes *rows)
{
    Py_ssize_t count = PyList_GET_SIZE(lists[0]), number = 0;
    int64_t place[2];

    for (; at < end && number < count; number++) {
        for (int part = 0; part < 2; part++)
            if ((place[part] = PyLong_AsLongLong(PyList_GET_ITEM(lists[part], number))) == -1 && PyErr_Occurred())
                return false;
        RowOutcome outcome = record_row(&at, end, tenant, first, place, rows);
        if (outcome == ROW_NO_MEMORY)
            PyErr_NoMemory();
        if (outcome != ROW_TAKEN)
            return false;
    }
    if (at < end || number < count)
        PyErr_Format(PyExc_ValueError, "expected as many places as records");
    return !PyErr_Occurred();
}

static PyObject *rows_of_records(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *records, *lists[2], *found = NULL;
    Bytes rows = {NULL, 0, 0};
    const char *tenant, *first;
    Py_ssize_t tenant_size, first_size;

    if (!PyArg_ParseTuple(args, "Sy#y#O!O!:rows_of_records", &records, &tenant, &tenant_size, &first, &first_size, &PyList_Type,
                          &lists[0], &PyList_Type, &lists[1]))
        return NULL;
    const char *at = PyBytes_AS_STRING(records), *end = at + PyBytes_GET_SIZE(records);
    if (at == end || end[-1] != '\n' || PyList_GET_SIZE(lists[0]) != PyList_GET_SIZE(lists[1]))
        return PyErr_Format(PyExc_ValueError, "expected records, each with a line feed at its end, and two numbers for each");
    if (make_rows(at, end, (Span){tenant, (size_t)tenant_size}, (Span){first, (size_t)first_size}, lists, &rows))
        found = PyBytes_FromStringAndSize(rows.data, (Py_ssize_t)rows.size);
    else if (!PyErr_Occurred())
        found = Py_NewRef(Py_None);
    free(rows.data);
    return found;
}

/* -------------------------------------------------------------------------------------------------------- canonical */

static PyObject *canonical_lines(PyObject *Py_UNUSED(module), PyObject *records)
{
    PyObject *found;
    Py_ssize_t size;

    if (!PyBytes_Check(records))
        return PyErr_Format(PyExc_TypeError, "expected bytes, found %s", Py_TYPE(records)->tp_name);
    size = PyBytes_GET_SIZE(records);
    /* Nothing gets longer, but the last line may lack its line feed; and there is always room left. */
    if ((found = PyBytes_FromStringAndSize(NULL, size + 2)) == NULL)
        return NULL;
    Bytes lines = {PyBytes_AS_STRING(found), 0, (size_t)size + 2};
    const char *at = PyBytes_AS_STRING(records), *end = at + size;
    while (at < end)
        if (!canonical_record(&at, end, &lines)) {
            Py_DECREF(found);
            Py_RETURN_NONE;
        }
    _PyBytes_Resize(&found, (Py_ssize_t)lines.size);
    return found;
}

static PyMethodDef functions[] = {
    {"canonical_lines", canonical_lines, METH_O, NULL},
    {"records_of_rows", records_of_rows, METH_VARARGS, NULL},
    {"rows_of_records", rows_of_records, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&gatherer_spec);
    int failed = type == NULL || PyModule_AddObjectRef(module, "Gatherer", type);

    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = 0, .m_methods = functions, .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
