using Postwright.Testing;

namespace Postwright.Core.Tests.Tables;

/// <summary>The same command lines to Postfix's postmap and postalias and to ours, each in a directory of its own.</summary>
public sealed class PostmapOracleTests
{
    private const string Map = "a 1\nB 2\na 3\n  cont\nnovalue\n\"q k\" v\n\"bad v\n k v\nx: y\n";
    private const string Aliases =
        "root: joe, \"a b\"@c\n\"joe doe\": |\"cmd x\"\nroot: dup\nnoval:\nnocolon x\nx y: z\nlist: :include:/x/y\nfile: /a/b\n"
        + "owner-l: \"/f b\"\na: b: c\n(comment) c: d (e)\n# c\n\"A.B\": x@y, z\n";
    private const string OddAliases =
        "a1: |cmd arg arg2\na2: \"|cmd 'x y' \\\"q\\\"\"\na3: a . b @ c . d , e\na4: joe <joe@x.y>, (c) \"x\\\"y\"\na5: x,y ,z,\na6: [1.2.3.4] d\n"
        + "a7: a%b!c\na8:\n  cont, d\n  e\n\"a,9\": x\na10, b: x\na11@x: y\na12%x: y\na13: a;b\na14: \"unterminated x\na15: \\\"esc\\ aped\n"
        + "a16: user@[1.2.3.4]\na17: \"\"\n\"\": empty\na18: (unterminated\na19: \"/file with space\", /file2\na20: \u00e9@x, \"\u00f6 x\"\n\u00c9: x\n"
        + "a\\ b: c\na.c: d\na21: a:b;c:\na22: group: a, b;\n  lead: x\na23: <>\na24: .\na25: a..b\n\"quo ted\" x: y\n";

    /// <summary>Rules with every mistake that Postfix words its own way.</summary>
    private const string Patterns = """
        /(/ x
        /[/ y
        /a\(b/ z
        /a*{2/ zz
        /x/q unk
        /y/ $1
        /z(a)/ ${1}$(1)$$1 $x
        /w(a)/ $10
        /w(b)/ ${1
        /w(c)/ ${1x}
        /w(d)/ a$
        /w(e)/ $e
        /w(f)/ a$1b
        /w(f)/ ${1?yes}
        /^CASE$/i exact
        /^CASE$/ fold
        /b\1/ br
        /(b)\1/ br2
        /^m1$/m multi
        |bar| pipes
        %pct%x bre
        /a\+/x plus
        if /u/
        /ud/ ok
         endif
        endif foo
        if
        if /x/ !/y/
        endif
        IF /k/
        /k1/ kk
        ENDIF
        iffy x
        endiffy
        /no value
        /novalue/
        /slash\/in/ s
        !!/dbl/ d
        ! /sp/ s
        /o/ !/p/ q
        /o/!/p/ q
        /o/!/p/!/q/ r
        /o1/!!/p/ q
        /n/!
        """;

    private const string Networks = """
        1.2.3.4
        1.2.3.4 a
         1.2.3.5 b
        endif x
        if 1.2.0.0/16 x
        1.2.4.4 c
        endif foo
        IF 1.2.0.0/16
        endif
        if1.2.3.4 x
        ENDIFx y
        !1.2.3.4/24 neg
        1.2.3 d
        [::1] v6
        ::1/128 v6b
        [2001:db8::]/32 v6c
        [1.2.3.9] br
        """;

    private const string Mime = """
        From: a
        Content-Type: multipart/mixed;
        	boundary="bb"
        X: y

        preamble
        P: q
        --bb
        Content-Type: text/plain
        A: b

        text
        Fake: header
        --bb
        Content-Type: message/rfc822
        C: d

        From: nested
        E: f

        nbody
        --bb
        Content-Type: message/partial
        G: h

        From: partial
        I: j

        pbody
        --bb
        Content-Type: message/external-body
        K: l

        From: ext
        M: n

        ebody
        --bb
        no header
        --bb

        N: o
        --bb
        Content-Type: message/delivery-status

        Status: 5

        Final: x
        --bb
        Content-Type: multipart/digest; boundary=cc

        pre
        --cc
        Q: r

        From: digest
        S: t

        dbody
        --cc--
        post
        T: u
        --bb--
        epilogue
        V: w
        --bb
        W: z

        """;

    private static List<(string Line, string Input)> CommandLines
    {
        get
        {
            var lines = new List<(string, string)>
            {
                ("@postmap -q - hash:big", "k1\nzz\nk300\n"),
                ("@postmap hash:big; @postmap -q - hash:big", "k1\nzz\nk300\n"),
                ("@postmap hash:m; @postmap -q - hash:m", "zz\n"),
                ("@postmap -q - regexp:rx", "za\nwa\nwb\nwd\nwe\nwf\ncase\nCASE\nbb1\npct\npctx\nbar\nud\nk1\nnovalue\nslash/in\na+\no\nop\noq\nn\nsp\n"),
                ("@postmap -q - cidr:ci", "1.2.3.4\n1.2.4.4\n::1\n2001:db8::5\n10.0.0.1\n1.2.3.9\nfoo\n\n"),
                ("@postmap big; @postmap -d - big; @postmap -s big", "k4\nk5\nzz\n"),
                ("@postmap big; @postmap -i big; @postmap -s big", "new 1\nk5 changed\n"),
                ("@postmap big; @postmap -ir big; @postmap -s big", "new 1\nk5 changed\n"),
                ("@postmap -i nonex; @postmap -s nonex", "new 1\n"),
                ("@postalias hash:al; @postalias -q - hash:al; @postalias -d list hash:al; @postalias -q list al", "root\nlist\nzz\n"),
                ("@postalias hash:al; @postalias -i hash:al; @postalias -s al | grep -v YP_", "root: changed\nx: y\n"),
                ("@postalias -r hash:al; @postalias -i -r hash:al; @postalias -s al | grep -v YP_", "root: changed\nx: y\n"),
            };
            foreach (string line in Plain.Concat(File.ReadLines(Path.Combine(TestPrograms.ProjectRoot, "tests/Postwright.Core.Tests/Tables/postmap-command-lines.txt"))))
            {
                lines.Add((line, ""));
            }

            return lines;
        }
    }

    private static string[] Plain =>
    [
        "@postmap hash:m && @postmap -s hash:m", "@postmap -w hash:m && @postmap -s hash:m", "@postmap -r hash:m && @postmap -s hash:m",
        "@postmap -f hash:m && @postmap -s hash:m; @postmap -q B hash:m; @postmap -fq B hash:m", "@postmap -r btree:m && @postmap -s btree:m",
        "@postmap big && @postmap -s hash:big", "@postmap -p big && @postmap -q k7 big", "@postmap btree:big && @postmap -s btree:big",
        "@postmap hash:lead; @postmap -s hash:lead", "@postmap hash:latin; @postmap -u hash:latin; @postmap -s hash:latin",
        "@postmap hash:umlaut; @postmap -s hash:umlaut; @postmap -q \u00c9 hash:umlaut",
        "@postmap -d a hash:m", "@postmap big; @postmap -d k1 big; @postmap -d k1 big", "@postmap", "@postmap -x", "@postmap -q", "@postmap -q a", "@postmap -s",
        "@postmap -q a -d b hash:m", "@postmap -s -d b hash:m", "@postmap -q a -s hash:m", "@postmap hash:nosuch", "@postmap static:x", "@postmap texthash:m",
        "@postmap foo:m", "@postmap -q a foo:m", "@postmap -q a hash:nosuch", "@postmap -d a texthash:m", "@postmap -d a hash:nosuch", "@postmap -s static:b",
        "@postmap -q x static:b", "@postmap -q x fail:b", "@postmap -q b texthash:big; @postmap -q k9 texthash:big", "@postmap -c /nonexistent -q x static:b",
        "@postmap -s 'inline:{a=b}'", "@postmap big; @postmap -q '' hash:big; @postmap -d '' big", "@postmap -q x abc:",
        "@postmap -q root unix:passwd.byname", "@postmap -q nobody-here unix:passwd.byname", "@postmap -q root unix:group.byname", "@postmap -q root unix:foo",
        "echo x >t.db; @postmap -q a hash:t", "echo x >t.db; @postmap -i hash:t", "touch t.db; @postmap -q a hash:t",
        ": >m.db; @postmap -d a hash:m", ": >m.db; @postmap -d a btree:m", ": >m.db; @postmap -w hash:m; @postmap -q a hash:m",
        "@postmap -u hash:umlaut; @postmap -s hash:umlaut; @postmap -uq \u00c9 texthash:umlaut",
        "echo smtputf8_enable = no >>main.cf; @postmap hash:umlaut; @postmap -s hash:umlaut; @postmap -q \u00c9 hash:umlaut; @postmap -q \u00e9 hash:umlaut",
        "echo smtputf8_enable = no >>main.cf; @postmap -q \u00c9 texthash:umlaut; @postmap -q \u00e9 'inline:{\u00c9=1}'; @postmap hash:latin; @postmap -s hash:latin",
        "echo stra\u00dfe x >s; @postmap hash:s; @postmap -s hash:s; @postmap -q STRASSE hash:s; @postmap -q \u1e9e 'inline:{ss=1}'; @postmap -d STRA\u1e9eE hash:s",
        "@postmap -q x 'unionmap:{static:a,static:b}'", "@postmap -q x 'pipemap:{static:a,inline:{a=c}}'", "@postmap -q x pipemap:static:a",
        "@postmap -q x 'pipemap:{}'", "@postmap -q x 'pipemap:{foo:b}'", "@postmap -q x 'randmap:{b}'", "@postmap -q x randmap:b", "@postmap -q x 'randmap:{}'",
        "@postmap -q x 'unionmap:{inline:{a=b},static:c}'", "@postmap -q x 'inline:{a}'", "@postmap -q x 'inline:{}'", "@postmap -q x 'inline:{{a=b}'",
        "@postmap -q x 'inline:{{a = b c}, x = y}'; @postmap -q a 'inline:{{a = b c}, x = y}'", "@postmap -q x 'static:{a b }'",
        "@postmap -q a regexp:nosuch; @postmap -q a cidr:nosuch; @postmap -s cidr:ci", "@postmap -q b 'regexp:{{1.2.3.4 y}, {/b/ c}}'",
        "@postmap -q b 'regexp:{{/a/ y}, foo}'", "@postmap -q b 'cidr:{{/b/ c}}'; @postmap -q b 'cidr:{}'; @postmap -q a 'cidr:{{a b}'",
        "@postalias hash:al; @postalias -s hash:al | grep -v YP_", "@postalias hash:odd; @postalias -s hash:odd | grep -v YP_",
        "@postalias btree:odd; @postalias -s btree:odd | grep -v YP_", "@postalias hash:lead; @postalias hash:latin", "@postalias", "@postalias -y",
        "@postalias hash:al; @postalias -q root hash:al; @postalias -q ROOT al; @postalias -q zz al", "@postalias hash:m",
        "@postmap m; touch -d '2 days ago' m.db; touch -d '1 day ago' m; @postmap -q a m", "ln -s real.db m.db; @postmap big; cp big.db real.db; @postmap -w m",
    ];

    private static string[] AsRoot =>
    [
        "chown nobody m; chmod 600 m; @postmap m", "chown nobody . m; @postmap m", "chown nobody . m; @postmap -o m",
        "echo k v >in; chown nobody:nogroup in .; chmod 640 in; @postmap -i m <in; @postmap -s m", "echo k v >in; chown nobody in .; @postmap -o -i m <in",
        "echo k v >in; chown nobody in .; chmod 604 in; @postmap -p -i m <in", "chown nobody m .; chmod 600 m; echo k v | @postmap -i m",
        "chown nobody m .; chmod 600 m; @postmap -i m </dev/null", "echo k: v >in; chown nobody in .; chmod 604 in; @postalias -i m <in", "echo k v >in; chown nobody in; @postmap -i m <in",
        "chown nobody . m; touch m.db; chown nobody m.db; @postmap m", "chown nobody m; @postmap big; cp big.db m.db; chown nobody m.db; @postmap -w m; @postmap -q b m",
    ];

    [Fact]
    public void Output_errors_status_and_files_are_those_of_postfix() => Compare(CommandLines);

    [Fact]
    public void Root_builds_tables_as_the_owner_of_the_source()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root");
        Compare([.. AsRoot.Select(line => (line, ""))]);
    }

    [Fact]
    public async Task A_build_that_fails_half_way_leaves_the_old_table()
    {
        using var bench = new TableBench();
        bench.Write("map", "a 1\n");
        Assert.Equal((0, "", ""), bench.Run(Ours("postmap"), "", "hash:map"));
        bench.Write("map", TableEntries.Source(20000));
        Assert.NotEqual(0, bench.Run("/bin/sh", "", "-c", $"trap '' XFSZ; ulimit -f 200; exec {Ours("postmap")} hash:map").Status);
        Assert.Equal("=1", await bench.AskAsync($"hash:{bench["map"]}", "a"));
        Assert.Equal(["main.cf", "map", "map.db"], Directory.GetFiles(bench.Directory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Json_output_has_one_object_a_line()
    {
        using var bench = new TableBench();
        Assert.Equal((0, "{\"a\": \"b \\\"c\\\"\"}\n", ""), bench.Run(Ours("postmap"), "", "-jq", "a", "inline:{{a = b \"c\"}}"));
    }

    [Fact]
    public void A_key_that_ends_in_a_dot_is_pointed_out_unless_such_keys_count()
    {
        using var bench = new TableBench();
        bench.Write("access", "192.168.2. REJECT\n192.168.3 OK\n.edu.tw OK\n");
        Assert.Equal(
            (0, "", "postmap: warning: access, line 1: key \"192.168.2.\" is never looked up: write \"192.168.2\", or set access_trailing_dot = yes\n"),
            bench.Run(Ours("postmap"), "", "hash:access"));
        bench.Write("main.cf", "access_trailing_dot = yes\n");
        Assert.Equal((0, "", ""), bench.Run(Ours("postmap"), "", "hash:access"));
    }

    [Fact]
    public void Newaliases_builds_every_alias_database()
    {
        using var bench = new TableBench();
        bench.Write("main.cf", $"alias_database = hash:{bench["one"]}, btree:{bench["two"]}\n");
        bench.Write("one", "root: joe\n");
        bench.Write("two", "root: jim\n");
        Ours("postalias");
        Assert.Equal((0, "", ""), bench.Run(Ours("newaliases"), ""));
        Assert.Equal((0, "joe\n", ""), bench.Run(Ours("postalias"), "", "-q", "root", "hash:one"));
        Assert.Equal((0, "jim\n", ""), bench.Run(Ours("postalias"), "", "-q", "root", "btree:two"));
    }

    internal static string Ours(string command)
    {
        string path = TestPrograms.PathOf(command);
        Assert.SkipUnless(File.Exists(path), "the programs are not built");
        return path;
    }

    private static void Compare(List<(string Line, string Input)> commands)
    {
        Assert.SkipUnless(File.Exists("/usr/sbin/postmap"), "Postfix is not installed");
        string ours = Path.GetDirectoryName(Ours("postmap"))!;
        Ours("postalias");
        Ours("newaliases");
        var differences = new System.Collections.Concurrent.ConcurrentQueue<string>();

        // Several at a time, on threads of their own, of which the pool has few: a program of Postfix that ends with an error sleeps
        // for a second first.
        var waiting = new System.Collections.Concurrent.ConcurrentQueue<(string Line, string Input)>(commands);
        Thread[] threads = [.. Enumerable.Range(0, 16).Select(_ => new Thread(() =>
        {
            while (waiting.TryDequeue(out (string Line, string Input) command))
            {
                if (Difference(ours, command.Line, command.Input) is { } difference)
                {
                    differences.Enqueue(difference);
                }
            }
        }))];
        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());
        Assert.True(differences.IsEmpty, string.Join("\n\n", differences));
    }

    private static string? Difference(string ours, string line, string input)
    {
        try
        {
            string expected = Run("/usr/sbin", line, input);
            string actual = Run(ours, line, input);
            return expected == actual ? null : $"{line}\n--- Postfix:\n{expected}\n--- ours:\n{actual}";
        }
        catch (Exception failure)
        {
            return $"{line}\n{failure}";
        }
    }

    private static string Run(string programs, string line, string input)
    {
        using var bench = new TableBench();
        bench.Write("m", Map);
        bench.Write("rx", Patterns + "\n");
        bench.Write("ci", Networks + "\n");
        bench.Write("al", Aliases);
        bench.Write("odd", OddAliases);
        bench.Write("lead", "  lead: x\na: b\n");
        bench.Write("umlaut", "\u00c9 x\n");
        File.WriteAllBytes(bench["latin"], [0xe9, (byte)':', (byte)' ', (byte)'x', 10, (byte)'b', (byte)' ', 0xff, 10]);
        bench.Write("big", string.Concat(Enumerable.Range(1, 300).Select(i => $"k{i} v{i}\n")));
        File.SetUnixFileMode(bench["big"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        File.SetUnixFileMode(bench.Directory, (UnixFileMode)0x1ed);
        Fixtures(bench);
        string newaliases = programs == "/usr/sbin" ? "/usr/bin/newaliases" : programs + "/newaliases";
        string command = line.Replace("@newaliases", newaliases, StringComparison.Ordinal).Replace("@", programs + "/", StringComparison.Ordinal);
        (int _, string output, string error) = bench.Run("/bin/bash", input, "-c", $"{command}\necho status $?; stat -c '%A %U %G %n' * | sort -k4");
        return $"{output}\n{error}".Replace(bench.Directory, "", StringComparison.Ordinal);
    }

    /// <summary>Messages and sources for the command lines that stand in a file of their own.</summary>
    private static void Fixtures(TableBench bench)
    {
        bench.Write("wide", string.Concat(Enumerable.Range(1, 200).Select(i => $"k{i} {new string('x', i * 37 % 9000)}{i}\n")));
        bench.Write("msg", "From: a\nSubject: multi\n\tline\nTo: b\n\nbody1\n\nbody2\n");
        bench.Write("msg2", "From: a\nnot header\nX: y\n\nbody\n");
        bench.Write("mm", Mime);
        bench.Write("f1", "hello");
        bench.Write("f2", "two\n");
        bench.Write("fsrc", "a f1, f2\nb nosuch\nc f1\n");
        bench.Write("fsrc2", "a f1\nb nosuch\nc /etc\n");
        bench.Write("f64", "a !!!notb64\nb aGk=\nc aGkK\nd /w==\n");
        File.WriteAllBytes(bench["uu"], [(byte)'a', (byte)' ', 0xff, 10, (byte)'b', (byte)' ', (byte)'c', 10]);
        string[] odd =
        [
            "a\u0001b: x\nX: y\n",
            "Content-Type: (c) Multipart / mixed ; foo=\"x\\\"y\" ; BOUNDARY = \"b b\" ; x\n\n--b bqq\nI: j\n\nbody\n--b b--zz\nepi: x\n",
            "Content-Type: multipart/mixed; boundary=\"aa\"; boundary=bb\n\n--aa\nI: 1\n\nx\n--bb\nI: 2\n\ny\n--aa",
            "Content-Type: multipart/mixed\n\n--\nI: 1\n\nx\n",
            "A: b\n--aa\nI: 1\n\nx\n",
            "Content-Type: multipart/mixed; boundary=aa\n--aa\nI: 1\n\nx\n",
            ": x\n\n",
            " x\nA: b\n\n",
            "A: b\r\nC: d\r\n\r\nbody\r\n",
        ];
        for (int i = 0; i < odd.Length; i++)
        {
            bench.Write($"odd{i + 2}", odd[i]);
        }

        bench.Write("nest", string.Concat(Enumerable.Range(0, 110).Select(i => $"Content-Type: multipart/mixed; boundary=b{i}x\n\n--b{i}x\n")) + "Deep: h\n\ndeep body\n");
        bench.Write("longh", "X: y\n" + string.Concat(Enumerable.Repeat(" " + new string('h', 1000) + "\n", 150)) + "To: z\n\nb\n");

        // Postfix reads a file again and again that may still be being written.
        foreach (string file in Directory.GetFiles(bench.Directory))
        {
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddHours(-1));
        }
    }
}
