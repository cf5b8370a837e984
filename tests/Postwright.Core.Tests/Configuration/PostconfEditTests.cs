using System.Text;
using Postwright.Core.Posix;

namespace Postwright.Core.Tests.Configuration;

/// <summary>Edits in place, where no Postfix is there to compare with.</summary>
public sealed class PostconfEditTests
{
    [Fact]
    public void An_edit_keeps_comments_order_mode_and_every_other_byte()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            string path = Path.Combine(folder, "main.cf");
            // Latin-1 in a comment and a value: no UTF-8, and no reason to change it.
            File.WriteAllBytes(path, Encoding.Latin1.GetBytes("# caf\u00e9\r\nmail_name = caf\u00e9\nmyorigin = a,\n  b\n# end"));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);

            PostconfHarness.Result result = PostconfHarness.Ours("postconf", "-c", folder, "-e", "myorigin = example.org", "smtpd_banner = \u00fc");

            Assert.Equal(0, result.ExitCode);
            Assert.Equal("", result.Errors);
            byte[] expected = [.. Encoding.Latin1.GetBytes("# caf\u00e9\r\nmail_name = caf\u00e9\nmyorigin = example.org\n# end\nsmtpd_banner = "), .. "\u00fc\n"u8];
            Assert.Equal(expected, File.ReadAllBytes(path));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(path));
            Assert.Equal(["main.cf"], Directory.GetFiles(folder).Select(Path.GetFileName));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("-n", "-v", "-o", "soft_bounce=yes")]
    [InlineData("-nx", "-v", "-o", "soft_bounce=yes")]
    [InlineData("-vn", "-o", "soft_bounce=yes", "-C", "all")]
    public void A_second_v_tells_which_line_sets_what_and_changes_nothing_else(params string[] arguments)
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            File.WriteAllText(Path.Combine(folder, "main.cf"), "# first\nmyorigin = a\nmail_name = b\n  c\n\nmyorigin = other\nrelayhost =\n");
            File.WriteAllText(Path.Combine(folder, "master.cf"), "smtp inet n - n - - smtpd\n  -o mail_name=d\n");
            PostconfHarness.Result quiet = PostconfHarness.Ours("postconf", ["-c", folder, .. arguments]);
            PostconfHarness.Result told = PostconfHarness.Ours("postconf", ["-c", folder, "-v", .. arguments]);

            Assert.Equal((quiet.ExitCode, quiet.Output), (told.ExitCode, told.Output));
            string trace = $"""
                postconf: {folder}/main.cf: read
                postconf: {folder}/main.cf, line 3: mail_name = b  c
                postconf: {folder}/main.cf, line 6: myorigin = other
                postconf: {folder}/main.cf, line 7: relayhost =
                postconf: -o: soft_bounce = yes
                postconf: {folder}/master.cf: read
                postconf: {folder}/master.cf, line 1: service smtp inet
                postconf: {folder}/master.cf, line 1: service smtp inet: mail_name = d

                """;
            Assert.Contains(trace, told.Errors, StringComparison.Ordinal);
            Assert.Equal(quiet.Errors, told.Errors.Replace(trace, "", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("-#", "mail_name")]
    [InlineData("-X", "mail_name")]
    [InlineData("-e", "mail_name=x")]
    public void Edits_with_v_are_the_same_edits(string option, string argument)
    {
        string[] results = [.. ((string[])["-q", "-v", "-vv"]).Select(verbose =>
        {
            string folder = PostconfHarness.TemporaryFolder();
            try
            {
                string path = Path.Combine(folder, "main.cf");
                File.WriteAllText(path, "myorigin = a\nmail_name = b\n");
                File.WriteAllText(Path.Combine(folder, "master.cf"), "");
                Assert.Equal(new PostconfHarness.Result(0, "", ""), PostconfHarness.Ours("postconf", "-c", folder, verbose, option, argument));
                return File.ReadAllText(path);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        })];
        Assert.Single(results.Distinct());
    }

    [Fact]
    public void An_edit_of_a_file_that_is_not_there_is_fatal()
    {
        PostconfHarness.Result result = PostconfHarness.Ours("postconf", "-c", "/nonexistent", "-e", "a=b");

        Assert.Equal(1, result.ExitCode);
        Assert.Equal("postconf: fatal: open /nonexistent/main.cf for reading: No such file or directory\n", result.Errors);
    }

    [Fact]
    public void An_edit_keeps_the_owner_and_edits_what_a_link_points_to()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            string real = Path.Combine(folder, "kept", "main.cf");
            string link = Path.Combine(folder, "main.cf");
            Directory.CreateDirectory(Path.GetDirectoryName(real)!);
            File.WriteAllText(real, "a = 1\n");
            File.CreateSymbolicLink(link, "kept/main.cf");
            DeliveryFile.Stat(real, out FileFacts before);
            int descriptor = DeliveryFile.Open(real, 0);
            uint owner = DeliveryFile.ChangeOwner(descriptor, 12345, 23456) == 0 ? 12345 : before.Uid;
            DeliveryFile.Close(descriptor);

            Assert.Equal(0, PostconfHarness.Ours("postconf", "-c", folder, "-e", "b=2").ExitCode);

            DeliveryFile.Stat(real, out FileFacts after);
            Assert.Equal("a = 1\nb = 2\n", File.ReadAllText(real));
            Assert.Equal("kept/main.cf", new FileInfo(link).LinkTarget);
            Assert.Equal(owner, after.Uid);
            Assert.Equal((before.Mode, before.Inode == after.Inode), (after.Mode, false));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Edits_at_the_same_time_lose_nothing()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            File.WriteAllText(Path.Combine(folder, "main.cf"), "# settings\n");

            await Parallel.ForEachAsync(Enumerable.Range(0, 40), new ParallelOptions { MaxDegreeOfParallelism = 8 }, (i, _) =>
            {
                Assert.Equal(0, PostconfHarness.Ours("postconf", "-c", folder, "-e", $"name{i}={i}").ExitCode);
                return ValueTask.CompletedTask;
            });

            IEnumerable<string> expected = Enumerable.Range(0, 40).Select(i => $"name{i} = {i}").Append("# settings");
            Assert.Equal(expected.Order(StringComparer.Ordinal), File.ReadAllLines(Path.Combine(folder, "main.cf")).Order(StringComparer.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Json_has_one_object_a_line()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            File.WriteAllText(Path.Combine(folder, "main.cf"), "smtpd_banner = a \"b\" \\c\n");
            File.WriteAllText(Path.Combine(folder, "master.cf"), "");

            Assert.Equal("{\"smtpd_banner\": \"a \\\"b\\\" \\\\c\"}\n", PostconfHarness.Ours("postconf", "-c", folder, "-j", "smtpd_banner").Output);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Every_fatal_error_of_a_file_is_told_and_nothing_is_shown()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            File.WriteAllText(Path.Combine(folder, "main.cf"), "one\n\n= two\n");
            File.WriteAllText(Path.Combine(folder, "master.cf"), "short row\n");
            PostconfHarness.Result result = PostconfHarness.Ours("postconf", "-c", folder, "-n");

            Assert.Equal(1, result.ExitCode);
            Assert.Equal("", result.Output);
            Assert.Equal(3, result.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
            Assert.Contains($"postconf: fatal: {folder}/main.cf, line 1: missing '=' after attribute name: \"one\"\n", result.Errors, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
