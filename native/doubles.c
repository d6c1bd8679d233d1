/* The interpreter reads and writes doubles exactly (David M. Gay, Correctly Rounded Binary-Decimal and Decimal-Binary
   Conversions, 1990), and its shortest text is that of the encoder of records where neither has an exponent. */

#include "doubles.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

bool double_is_shortest(const char *at, size_t size)
{
    char *behind = NULL, *text;
    double number = PyOS_string_to_double(at, &behind, NULL);
    bool is_same;

    text = PyErr_Occurred() ? NULL : PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) { /* Python will find out as well, and tell. */
        PyErr_Clear();
        return false;
    }
    is_same = behind == at + size && strlen(text) == size && memcmp(text, at, size) == 0;
    PyMem_Free(text);
    return is_same;
}
