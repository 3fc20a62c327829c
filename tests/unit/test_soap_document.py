"""XML as a tree, within bounds."""

import subprocess
import sys
import time

import pytest

from soap_server import document
from soap_server.document import (
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_IN_ALL,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_NAMESPACE,
)
from soap_server.faults import SoapFault


def test_names_attributes_and_text_are_those_of_the_document():
    root = document.parse(
        b'<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        b'<p:a xmlns:p="urn:x" p:q="1" r="2">\xc3\xbc<!-- no --><b xmlns="">c</b>'
        b"<?no no?>d<![CDATA[<&]]>&lt;&#13;\r\n</p:a>"
    )
    assert (root.name, root.namespace, root.local_name) == ("{urn:x}a", "urn:x", "a")
    assert root.attribute("q", "urn:x") == "1"
    assert root.attribute("r") == "2"
    assert root.attribute("q") == root.attribute("r", "urn:x") == ""
    assert root.text == "üd<&<\r\n"
    (child,) = root.children
    assert (child.name, child.namespace, child.local_name, child.text) == ("b", "", "b", "c")


@pytest.mark.parametrize(
    "xml",
    [
        b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH,
        b"<a>" + b"<b/>" * (MAX_ELEMENTS - 1) + b"</a>",
        b"<a" + b"".join(b' a%d=""' % n for n in range(MAX_ATTRIBUTES)) + b"/>",
        b"<a" + b"".join(b" xmlns:a%d='u'" % n for n in range(MAX_ATTRIBUTES + 1)) + b"/>",
        b"<a>" + b"<b a='' b=''/>" * (MAX_ATTRIBUTES_IN_ALL // 2) + b"</a>",
        b"<a xmlns='%b' xmlns:b='%b'/>" % (b"u" * MAX_NAMESPACE, b"v" * MAX_NAMESPACE),
    ],
)
def test_the_bounds_are_within(xml):
    document.parse(xml)


@pytest.mark.parametrize(
    "xml",
    [
        b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1),
        b"<a>" + b"<b/>" * MAX_ELEMENTS + b"</a>",
        b"<a" + b"".join(b' a%d=""' % n for n in range(MAX_ATTRIBUTES + 1)) + b"/>",
        b"<a c=''>" + b"<b a='' b=''/>" * (MAX_ATTRIBUTES_IN_ALL // 2) + b"</a>",
        b"<a xmlns='%b'/>" % (b"u" * (MAX_NAMESPACE + 1)),
        b"<a><b xmlns:a='%b'/></a>" % (b"&#117;" * (MAX_NAMESPACE + 1)),
        b"<!DOCTYPE a><a/>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<?xml version='1.0' standalone='no'?><!DOCTYPE a SYSTEM 'http://localhost/'><a>&b;</a>",
        b"<a>&b;</a>",
        b"<a>&#0;</a>",
        b"<a>&#xD800;</a>",
        b"<a>\0</a>",
        b"<a>\xed\xa0\x80</a>",
        b"<a>\xef\xbf\xbf</a>",
        b"<a b='1' b='2'/>",
        b"<p:a/>",
        b"<a/><b/>",
        b"<a/>b",
        b"<a>",
        b"a",
        b"<a xmlns='u}b'/>",
    ],
)
def test_what_is_ill_formed_dangerous_or_too_much_is_refused(xml):
    with pytest.raises(SoapFault):
        document.parse(xml)


def test_the_text_of_each_element_is_put_together():
    root = document.parse(b"<a>1<b>2<c/>3<d>4</d>5</b>6<!-- -->7<b/>8</a>")
    (first, second), (empty, inner) = root.children, root.children[0].children
    texts = [each.text for each in (root, first, second, empty, inner)]
    assert texts == ["1678", "235", "", "", "4"]


def test_a_text_in_many_pieces_is_not_copied_for_each():
    xml = "<a>😀".encode() + b"x" * 240_000 + b"<b/>x" * (MAX_ELEMENTS - 1) + b"</a>"
    before = time.process_time()
    for _ in range(50):
        document.parse(xml)
    # Half a second; with copies some seconds, or a minute: malloc decides.
    assert time.process_time() - before < 2


def test_a_document_type_may_stand_in_a_text():
    assert document.parse(b"<a><![CDATA[<!DOCTYPE b>]]></a>").text == "<!DOCTYPE b>"


MEMORY = """
import resource
from soap_server import document
from soap_server.faults import SoapFault

def peak(documents):
    for n in documents:
        try:
            document.parse(b"<a>" + b"".join(b"<n%dx%d/>" % (n, m) for m in range(10**4)))
        except SoapFault:
            pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

first = peak(range(10))
print(peak(range(10, 110)) - first)
"""


def test_names_that_never_come_again_are_not_remembered():
    # A parser that remembers names, as lxml's does, grows by more than 20 MB here.
    command = [sys.executable, "-c", MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2000  # kilobytes
