using System.Text;
using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Check;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

/// <summary>Whatever the files hold, they are read to the end, nothing is thrown, and the result is bounded.</summary>
public sealed class ConfigurationFuzzTests
{
    private static readonly string[] Pieces =
    [
        "$", "$$", "${", "}", "{", "(", ")", "?", ":", "==", "!=", "<", "<=level ", ">=length", " ", "\n", "\n ", "\t", "#", "=", " = ", ",", "/",
        "mydestination", "myhostname", "mydomain", "mynetworks", "a", "b", "$a", "$b", "${a}", "${b?{$a}:{$b}}", "smtpd_timeout", "5m", "-o ", "-o{", "smtp", "inet", "unix",
        " - ", "n", "smtpd", "\0", "\r", "é", "\ufffd", "compatibility_level", "3.6", "99999999999999999999", "hash:", "ldap:x", "smtpd_restriction_classes",
        "smtpd_recipient_restrictions", "${domain_to_ascii{", "inet_interfaces", "inet_protocols", "mynetworks_style", "!", "::1", "[", "]", "127.0.0.1/8",
    ];

    [Fact]
    public void Random_files_are_read_without_an_exception()
    {
        var time = new FuzzTime(2000);
        for (int seed = 1; time.Includes(seed); seed++)
        {
            // Chance with a known seed: a failure names it, and it fails again.
            var random = new Random(seed);
            string main = Text(random);
            string master = Text(random);
            try
            {
                ConfigurationCheck.Run(MailConfiguration.FromText(main, master, PostconfHarness.Somewhere));
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }
    }

    /// <summary>Whatever a file holds: an edit ends, leaves one file, and of what it was not asked to change no line is lost.</summary>
    [Fact]
    public void Random_files_are_edited_and_keep_every_other_line()
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            var time = new FuzzTime(400);
            for (int seed = 1; time.Includes(seed); seed++)
            {
                var random = new Random(seed);
                string main = Path.Combine(folder, "main.cf");
                string master = Path.Combine(folder, "master.cf");
                byte[] before = Encoding.UTF8.GetBytes(Text(random));
                byte[] rows = Encoding.UTF8.GetBytes(Text(random));
                File.WriteAllBytes(main, before);
                File.WriteAllBytes(master, rows);

                Assert.Equal(0, Edit(folder, seed, "-e", "zz_added=1", "a = b c"));
                byte[] after = File.ReadAllBytes(main);
                IEnumerable<string> lost = Kept(before).Except(Kept(after));
                Assert.True(!lost.Any(), $"seed {seed} lost {lost.FirstOrDefault()}");

                // A second time there is nothing to change.
                Assert.Equal(0, Edit(folder, seed, "-e", "zz_added=1", "a=b c"));
                Assert.Equal(after, File.ReadAllBytes(main));

                int status = Edit(folder, seed, "-Me", "zz/unix=zz unix - - n - - discard");
                byte[] edited = File.ReadAllBytes(master);
                Assert.Equal(0, status);
                Assert.True(Kept(rows).All(line => Kept(edited).Contains(line)), $"seed {seed} lost a row");
                _ = Edit(folder, seed, "-P", "*/*/x=1");
                _ = Edit(folder, seed, "-F", "*/*/chroot=-");
                _ = Edit(folder, seed, "-M#", "zz/unix");
                _ = Edit(folder, seed, "-MX", "*/inet");
                _ = Edit(folder, seed, "-X", "a", "zz_added");
                Assert.DoesNotContain("\nzz_added", Encoding.UTF8.GetString(File.ReadAllBytes(main)), StringComparison.Ordinal);
                Assert.Equal(["main.cf", "master.cf"], Directory.GetFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static int Edit(string folder, int seed, params string[] arguments)
    {
        try
        {
            return PostconfHarness.Ours("postconf", ["-c", folder, .. arguments]).ExitCode;
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"seed {seed}: {string.Join(' ', arguments)}", failure);
        }
    }

    /// <summary>The lines that belong to no setting of <c>a</c>, nor to a row of zz.</summary>
    private static List<string> Kept(byte[] text)
    {
        var kept = new List<string>();
        bool touched = false;
        foreach (string line in Encoding.Latin1.GetString(text).Split('\n'))
        {
            bool between = line.Trim().Length == 0 || line.TrimStart()[0] == '#';
            bool continues = !between && char.IsWhiteSpace(line[0]) && line[0] < 128;
            if (!between && !continues)
            {
                string name = line.Split([' ', '\t', '\r', '\v', '\f', '='], 2)[0];
                touched = name is "a" or "zz" or "zz_added";
            }

            if (between || !touched)
            {
                kept.Add(line);
            }
        }

        return kept;
    }

    [Fact]
    public void Values_that_refer_to_each_other_end()
    {
        MailConfiguration configuration = MailConfiguration.FromText(
            "mydomain = $myhostname\nmyhostname = x.$mydomain$mydomain$mydomain\na = $b$b$b$b\nb = $a$a$a$a\nmyorigin = $a\n",
            null, PostconfHarness.Somewhere);

        Assert.True(configuration.GetString("myorigin").Length <= MacroExpander.ResultLimit);
        Assert.NotEmpty(configuration.Errors);
    }

    [Fact]
    public void A_few_lines_cannot_expand_to_gigabytes()
    {
        var main = new StringBuilder("a0 = xxxxxxxxxx\n");
        for (int i = 1; i < 60; i++)
        {
            main.Append($"a{i} = $a{i - 1}$a{i - 1}$a{i - 1}$a{i - 1}\n");
        }

        MailConfiguration configuration = MailConfiguration.FromText(main + "myorigin = $a59\n", null, PostconfHarness.Somewhere);

        Assert.True(configuration.GetString("myorigin").Length <= MacroExpander.ResultLimit);
        Assert.NotEmpty(configuration.Errors);
    }

    private static string Text(Random random)
    {
        var text = new StringBuilder();
        int pieces = random.Next(60);
        for (int i = 0; i < pieces; i++)
        {
            text.Append(random.Next(20) == 0 ? ((char)random.Next(1, 0xd800)).ToString() : Pieces[random.Next(Pieces.Length)]);
        }

        return text.ToString();
    }
}
