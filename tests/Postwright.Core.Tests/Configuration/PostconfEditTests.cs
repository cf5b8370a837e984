using System.Text;

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

    [Fact]
    public void An_edit_of_a_file_that_is_not_there_is_fatal()
    {
        PostconfHarness.Result result = PostconfHarness.Ours("postconf", "-c", "/nonexistent", "-e", "a=b");

        Assert.Equal(1, result.ExitCode);
        Assert.Equal("postconf: fatal: open /nonexistent/main.cf for reading: No such file or directory\n", result.Errors);
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
